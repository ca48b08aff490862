//! A proxy of HTTP that lets nobody through, to see what would go out.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;

/// A proxy that lets nobody through. It tells the first line and the host of what it is asked.
pub(crate) fn listening_proxy() -> (String, mpsc::Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    // It ends with the process of the test.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let lines = lines.map(|line| line.unwrap().to_lowercase());
            let lines: Vec<String> = lines.take_while(|line| !line.is_empty()).collect();
            let refusal =
                b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(refusal).unwrap();
            let host = lines.iter().find_map(|line| line.strip_prefix("host: "));
            // Nobody listens any more to what comes after the first.
            let _ = tell.send((lines[0].clone(), host.unwrap().to_owned()));
        }
    });
    (address, asked)
}
