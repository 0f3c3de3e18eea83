//! Reads files that somebody names, none of which may be without an end: a pipe that nobody writes to, a device.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Reads all of a file of at most `limit` bytes.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::other(format!(
            "it has more than {limit} bytes, which is the most that is read"
        )));
    }
    Ok(bytes)
}

/// The same as text, of a regular file alone, so that it never waits for anybody. Links are followed.
pub(crate) fn read_regular(path: &Path, limit: u64) -> io::Result<String> {
    only_ends(path)?;
    text(read(path, limit)?)
}

/// The same as text, also of a pipe such as a shell makes for `<(…)`, which has to come to its end within `time`.
pub(crate) fn read_within(path: &Path, limit: u64, time: Duration) -> io::Result<String> {
    if std::fs::metadata(path).is_ok_and(|found| has_end(&found)) {
        return text(read(path, limit)?);
    }
    let (sender, receiver) = mpsc::channel();
    let path = path.to_owned();
    // If it never ends, this thread does not either; the process is about to say so and to end.
    thread::Builder::new().name("read-file".into()).spawn(move || sender.send(read(&path, limit)))?;
    let read = receiver.recv_timeout(time);
    let late =
        |_| io::Error::new(io::ErrorKind::TimedOut, format!("it had no end within {} s", time.as_secs()));
    text(read.map_err(late)??)
}

/// Refuses what is there and has no end of its own. What is not there is for whoever opens it to say.
pub(crate) fn only_ends(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(found) if !has_end(&found) => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "expected a regular file, found a pipe, a device or a socket",
        )),
        _ => Ok(()),
    }
}

fn has_end(found: &Metadata) -> bool {
    found.is_file() || found.is_dir()
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    /// For what takes no time at all.
    const GENEROUS: Duration = Duration::from_secs(60);

    fn refused<T>(read: io::Result<T>) -> String {
        read.map(drop).unwrap_err().to_string()
    }

    #[test]
    fn nothing_without_an_end_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let (pipe, link) = (dir.path().join("pipe"), dir.path().join("link"));
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let endless = [&pipe, &link, Path::new("/dev/zero")].map(|path| refused(read_regular(path, 9)));
            let late = refused(read_within(&pipe, 9, Duration::from_millis(1)));
            sender.send((endless, late, refused(read_within(Path::new("/dev/zero"), 9, GENEROUS))))
        });
        let (endless, late, large) = receiver.recv_timeout(GENEROUS).expect("it waits for a writer");
        assert_eq!(endless, ["expected a regular file, found a pipe, a device or a socket"; 3]);
        assert_eq!(late, "it had no end within 0 s");
        assert_eq!(large, "it has more than 9 bytes, which is the most that is read");
    }

    #[test]
    fn files_are_read_up_to_their_limit_through_links_too() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::os::unix::fs::symlink(&file, &link).unwrap();
        std::fs::write(&file, "123456789").unwrap();
        assert_eq!(read_regular(&link, 9).unwrap(), "123456789");
        assert_eq!(read_within(&link, 9, Duration::ZERO).unwrap(), "123456789");
        assert_eq!(
            refused(read_regular(&link, 8)),
            "it has more than 8 bytes, which is the most that is read"
        );
        std::fs::write(&file, b"\xff").unwrap();
        assert_eq!(refused(read_regular(&file, 8)), "it is not valid UTF-8");
        assert_eq!(read_regular(&dir.path().join("none"), 8).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(read_regular(dir.path(), 8).unwrap_err().kind(), io::ErrorKind::IsADirectory);
    }

    #[test]
    fn a_pipe_that_ends_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let writer = thread::spawn({
            let pipe = pipe.clone();
            move || std::fs::write(pipe, "text")
        });
        assert_eq!(read_within(&pipe, 9, GENEROUS).unwrap(), "text");
        writer.join().unwrap().unwrap();
    }
}
