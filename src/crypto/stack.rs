//! What a cryptographic act leaves on its thread's stack: copies of keys, in the frames of libraries that do not wipe
//! them. A thread that lives on keeps them until other frames come to lie there; measured, that was never for some.

/// How far down from their caller the frames of any act here reach, and more: the deepest, an unoptimised HPKE, takes a
/// fifth of it.
const REACH_BYTES: usize = 96 << 10;

/// Does `act`, and then overwrites all of the stack that it used. What it returns must hold no secret of its own, but on
/// the heap.
#[inline(never)]
pub(super) fn cleared<T>(act: impl FnOnce() -> T) -> T {
    let told = below(act);
    overwrite();
    told
}

#[inline(never)]
fn below<T>(act: impl FnOnce() -> T) -> T {
    act()
}

/// Its frame lies where that of [`below`] and those further down lay.
#[inline(never)]
fn overwrite() {
    let mut room = [0_u8; REACH_BYTES];
    std::hint::black_box(&mut room);
}
