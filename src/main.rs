//! The `esker` program: hands over to the library and turns its result into an exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    esker::cli::main()
}
