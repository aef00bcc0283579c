//! The `pardon` command: arguments in, an exit code out.

fn main() -> std::process::ExitCode {
    pardon::cli::main()
}
