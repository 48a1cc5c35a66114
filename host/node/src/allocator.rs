//! The allocator of the binary. A call makes many small pieces of memory on whichever thread it
//! runs, and some of them are given back on another: that is what this allocator is made for.

/// What the binary, and whatever measures it, allocates with.
pub use mimalloc::MiMalloc as Allocator;

/// What a child of bounded memory is started with: the allocator takes this many KiB of address
/// space at once instead of a gigabyte, which would count in full.
pub const CHILD_ENVIRONMENT: (&str, &str) = ("MIMALLOC_ARENA_RESERVE", "65536");
