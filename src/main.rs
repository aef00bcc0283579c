//! The `pardon` command: arguments in, an exit code out.

use mimalloc::MiMalloc;

/// glibc's allocator takes about 8% of a passing request's time, this one half of that; see `docs/PERFORMANCE.md`.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> std::process::ExitCode {
    pardon::cli::main()
}
