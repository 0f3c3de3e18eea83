//! Who connects to the admin server and says nothing, or stays for ever.

use crate::harness::airship::scenes::{Setup, held};
use crate::harness::broker::broker;
use crate::harness::wait::{self, GENEROUS};
use std::fs;
use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};

/// More than may be open.
const MANY: usize = 300;

#[test]
fn silent_clients_cost_few_descriptors_and_keep_nobody_out() {
    let setup = Setup::new("admin-silent", held(100, 100));
    let mut scene = setup.start(broker());
    scene.wait_delivered(90);
    let admin: toml::Table =
        fs::read_to_string(scene.process.dir().join("tributary.toml")).unwrap().parse().unwrap();
    let address: SocketAddr = admin["admin"]["listen"].as_str().unwrap().parse().unwrap();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", scene.process.pid())).unwrap().count();
    let before = descriptors();
    let mut silent: Vec<_> = (0..MANY).map(|_| TcpStream::connect(address).unwrap()).collect();
    // The probe is behind them, so all of them have been accepted when it is answered.
    assert_eq!(scene.process.get("/live").status, 200);
    wait::wait_until(GENEROUS, "the oldest to be dropped", || descriptors() < before + MANY / 2);
    assert_eq!(scene.process.get("/live").status, 200);
    assert_eq!(scene.process.get("/metrics").status, 200);
    // The newest ones in the end, too.
    for client in &mut silent {
        client.set_read_timeout(Some(GENEROUS)).unwrap();
        assert!(client.read(&mut [0; 1]).is_ok_and(|count| count == 0) || client.peer_addr().is_err());
    }
    scene.stop();
}
