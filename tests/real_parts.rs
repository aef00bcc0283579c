//! Between parts that people have: nginx as the app; wrk, h2load and curl as visitors.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::http2::pairings::Shop;
use crate::http2::tools::said;
use crate::support::http2::request;
use crate::support::tls::Authority;
use crate::support::{Folder, Gateway, eventually};

/// Its files lie in the folder; it answers `/fail` with a 500 of its own.
const CONFIGURATION: &str = "
daemon off;
worker_processes 1;
pid nginx.pid;
error_log stderr crit;
events {}
http {
  access_log off;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  default_type text/plain;
  gzip on; gzip_proxied any; gzip_types text/plain;
  server {
    listen unix:nginx.sock;
    root files;
    location /fail { return 500 'the stack of it'; }
    location /moved { return 301 /; }
  }
}
";

/// A running nginx; it is stopped with this value.
struct Nginx {
    process: Child,
    folder: Folder,
}

impl Nginx {
    fn start() -> Self {
        let folder = Folder::new();
        folder.write("nginx.conf", CONFIGURATION);
        folder.write("files/index.html", "all is well");
        folder.write("files/large", "0123456789abcdef".repeat(65_536));
        // Debian has it where only root looks.
        let place = ["/usr/sbin/nginx"]
            .into_iter()
            .find(|it| Path::new(it).exists());
        let process = Command::new(place.unwrap_or("nginx"))
            .arg("-p")
            .arg(folder.path())
            .args(["-c", "nginx.conf", "-e", "stderr"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx, which tests/run installs: {error}"));
        let nginx = Self { process, folder };
        let socket = nginx.socket();
        eventually("nginx to listen", || UnixStream::connect(&socket).ok());
        nginx
    }

    fn socket(&self) -> String {
        self.folder.path().join("nginx.sock").display().to_string()
    }

    fn gateway(&self) -> Gateway {
        Gateway::at(&format!("unix:{}", self.socket()), "")
    }

    /// Behind a port with TLS too.
    fn shop(&self) -> Shop {
        let socket = self.socket();
        let app = format!("[upstreams.app]\nendpoints = [\"unix:{socket}\"]\n");
        Shop::new(Authority::new(), &app)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Its worker leaves when the master is gone.
        let number = self.process.id().to_string();
        let ended = Command::new("kill").args(["-TERM", &number]).status();
        assert!(ended.is_ok_and(|status| status.success()));
        drop(self.process.wait());
    }
}

#[test]
fn nginx_is_served_from() {
    let nginx = Nginx::start();
    let gateway = nginx.gateway();
    let plain = gateway.get("/", "");
    assert_eq!((plain.status, plain.text()), (200, "all is well"));
    let etag = plain.header("etag").unwrap();
    let same = gateway.get("/", &format!("If-None-Match: {etag}\r\n"));
    assert_eq!((same.status, same.header("etag")), (304, Some(etag)));
    let part = gateway.get("/large", "Range: bytes=16-18\r\n");
    assert_eq!((part.status, part.text()), (206, "012"));
    let packed = gateway.get("/large", "Accept-Encoding: gzip\r\n");
    assert_eq!(packed.header("transfer-encoding"), Some("chunked"));
    assert!(packed.header("content-encoding") == Some("gzip") && packed.body.len() < 50_000);
    assert_eq!(gateway.get("/large", "").body.len(), 1_048_576);
    assert_eq!(gateway.get("/missing", "").status, 404);
    let moved = gateway.get("/moved", "");
    assert_eq!(moved.status, 301);
    assert!(gateway.incidents().is_empty());
    let failed = gateway.get("/fail", "Accept: text/html\r\n");
    assert!(failed.status == 500 && failed.text().contains(failed.id()));
    let kept = gateway.incident(failed.id()).body.unwrap();
    assert_eq!(&kept.content[..], b"the stack of it");
}

#[test]
fn wrk_has_every_answer() {
    let nginx = Nginx::start();
    let gateway = nginx.gateway();
    let url = format!("http://{}/", gateway.address());
    let seen = said("wrk", &["-t1", "-c8", "-d1s", "--timeout", "20s", &url]);
    let count = seen
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "));
    let (count, _) = count.unwrap_or_else(|| panic!("{seen}"));
    assert!(count.parse::<u64>().unwrap() > 8, "{seen}");
    assert!(
        !seen.contains("Socket errors") && !seen.contains("Non-2xx"),
        "{seen}"
    );
    assert!(gateway.incidents().is_empty());
}

#[test]
fn h2load_has_every_answer_over_both_versions() {
    let nginx = Nginx::start();
    let shop = nginx.shop();
    let url = format!("https://{}/", shop.gateway.addresses()[1]);
    for (flag, protocol) in [("--npn-list=h2", "h2"), ("--h1", "http/1.1")] {
        let seen = said("h2load", &["-n200", "-c4", "-m10", "-T20", flag, &url]);
        assert!(
            seen.contains("200 succeeded, 0 failed, 0 errored"),
            "{seen}"
        );
        let agreed = format!("Application protocol: {protocol}");
        assert!(seen.contains(&agreed), "{seen}");
    }
}

#[test]
fn curl_has_the_same_over_both_versions() {
    let nginx = Nginx::start();
    let shop = nginx.shop();
    let port = shop.gateway.addresses()[1].port();
    let (resolve, url) = (
        format!("shop.example:{port}:127.0.0.1"),
        format!("https://shop.example:{port}/large"),
    );
    let whole = shop.ask(
        crate::http2::pairings::Way::Http1,
        &request("GET", "/large", &[]),
        b"",
    );
    for (flag, version) in [("--http2", "2"), ("--http1.1", "1.1")] {
        let asked = [
            "--max-time",
            "20",
            "-sS",
            "--insecure",
            "--compressed",
            "--resolve",
            &resolve,
            "-w",
            "%{http_version}",
            flag,
            &url,
        ];
        assert!(
            said("curl", &asked) == format!("{}{version}", whole.text()),
            "{flag}"
        );
    }
}
