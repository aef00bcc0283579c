//! A terminal for a command to print on.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Runs a command on a terminal of so many columns; gives what came on stdout as the terminal has it, and the exit code.
pub fn on_terminal(command: &mut Command, columns: u16) -> (String, Option<i32>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = OpenOptions::new().read(true).write(true).open(name);
    let terminal = terminal.unwrap();
    let size = Winsize {
        ws_row: 50,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&terminal, size).unwrap();
    let mut child = command.stdout(terminal).spawn().unwrap();
    // The command's builder holds the terminal open.
    command.stdout(std::process::Stdio::null());
    let mut printed = Vec::new();
    // The end of a terminal is an error.
    drop(File::from(master).read_to_end(&mut printed));
    let code = child.wait().unwrap().code();
    (
        String::from_utf8(printed).unwrap().replace("\r\n", "\n"),
        code,
    )
}
