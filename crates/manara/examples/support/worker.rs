//! A media worker, asked over its pipes as the pool asks it. For the benchmarks.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};

pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(program: &str) -> Self {
        let child = Command::new(program)
            .arg("media-worker")
            // As the pool starts it.
            .env(
                "GLIBC_TUNABLES",
                "glibc.malloc.mmap_threshold=1073741824:\
                 glibc.malloc.trim_threshold=134217728:glibc.malloc.hugetlb=1",
            )
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("starting the worker");
        let stdin = child.stdin.as_ref().expect("stdin");
        rustix::pipe::fcntl_setpipe_size(stdin, 1024 * 1024).expect("a large pipe");
        Self(child)
    }

    /// Its process.
    #[allow(dead_code, reason = "not every benchmark asks")]
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The body of its answer.
    pub(crate) fn sign(
        &mut self,
        medium: &[u8],
        without_bars: bool,
        key_frames_max: u8,
    ) -> Vec<u8> {
        let mut request = vec![0];
        request.extend(50_000_000_u64.to_le_bytes());
        request.extend(12_000_u32.to_le_bytes());
        request.extend((256_u64 * 1024 * 1024).to_le_bytes());
        request.extend(10_000_u32.to_le_bytes());
        request.extend((medium.len() as u32).to_le_bytes());
        request.extend([u8::from(without_bars), key_frames_max]);
        // A file, not pixels.
        request.extend([0; 13]);
        request.extend_from_slice(medium);
        let stdin = self.0.stdin.as_mut().expect("stdin");
        stdin.write_all(&request).expect("asking");
        let stdout = self.0.stdout.as_mut().expect("stdout");
        let mut head = [0; 6];
        stdout.read_exact(&mut head).expect("an answer");
        let [status, _, length @ ..] = head;
        assert_eq!(status, 0, "the worker could not sign it");
        let mut body = vec![0; u32::from_le_bytes(length) as usize];
        stdout.read_exact(&mut body).expect("a body");
        body
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        self.0.wait().expect("the worker ends with its input");
    }
}
