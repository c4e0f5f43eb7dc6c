.PHONY: api-test bench bench-cameras deps footage fuzz demo test

# Where cargo builds.
TARGET ?= $(or $(CARGO_TARGET_DIR),target)

# Whatever runs brings along what it needs: packages through apt, footage through Debian's opencv-doc.
deps:
	@.ci/setup

footage: deps
	@tests/peers/footage.sh target/footage

# The main job in seven steps. ONCE=1 ends by itself, with a status, and writes target/demo/report.json.
demo: footage
	cargo build --release --bin custodian --example demo
	@$(TARGET)/release/examples/demo $(TARGET)/release/custodian $(if $(filter 1,$(ONCE)),--once)

# Form, lints, documentation, dependencies, the rules of the house, and every test. As root nothing is skipped.
test: footage
	@.ci/lint
	@.ci/test

# schemathesis against the OpenAPI document that the daemon serves, signed in as every role, in all its phases: some 28,000
# requests in five minutes; no part of `make test`. PHASES=examples,fuzzing is shorter. EXAMPLES=n tries more of each operation.
EXAMPLES ?= 3
PHASES ?= examples,coverage,fuzzing
api-test: footage
	PHASES=$(PHASES) EXAMPLES=$(EXAMPLES) cargo test --locked --test schemathesis -- --nocapture

# The figures, into target/bench/report.json.
bench: deps
	cargo bench --locked

# 97 cameras against as many processes of ffmpeg, and a soak of SOAK_S seconds (0: none). As root, since it mounts the site
# of the scale bench, which it makes where there is none. WHAT=pairs|recover|rates|listing|site runs one part.
SOAK_S ?= 1200
WHAT ?= all
bench-cameras: deps
	SOAK_S=$(SOAK_S) cargo bench --locked --bench cameras -- $(WHAT)

# Every parser of stored bytes with libFuzzer, FUZZ_S seconds each. PARSER=name fuzzes one.
FUZZ_S ?= 20
fuzz: deps
	@FUZZ_S=$(FUZZ_S) .ci/fuzz
