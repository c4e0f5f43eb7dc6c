.PHONY: bench deps footage test

# Whatever runs brings along what it needs: packages through apt, footage through Debian's opencv-doc.
deps:
	@.ci/setup

footage: deps
	@tests/peers/footage.sh target/footage

test: footage
	cargo test

# The figures, into target/bench/report.json.
bench: deps
	cargo bench --locked
