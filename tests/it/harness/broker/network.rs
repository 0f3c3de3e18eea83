//! A network of machines, whose way to all others can be cut without a word to anybody: namespaces of the kernel, joined by a bridge.
//!
//! Takes root and `ip`, so only `proof/campaign` asks for it.

use super::run::run;
use crate::harness::wait::{GENEROUS, wait_until};
use crate::harness::watchdog::Watchdog;
use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

const IP_LIMIT: Duration = Duration::from_secs(30);

/// Nobody listens there.
const UNUSED_PORT: u16 = 9;

/// What does not answer in this time is taken for cut off.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);

/// Its machines and the bridge between them, where this process is, too. All of it goes when it is dropped, or the process ends.
pub(crate) struct Network {
    machines: Vec<Machine>,
    cleanup: Option<Watchdog>,
}

/// One of them.
pub(crate) struct Machine {
    netns: String,
    host: String,
    /// Its cable's end at the bridge.
    cable: String,
}

impl Network {
    /// A network of so many machines.
    pub(super) fn new(count: usize) -> Result<Self, String> {
        // Addresses for measurements among devices (RFC 2544), which no host has a route for.
        let number = rand::random_range(0..512);
        let net = format!("198.{}.{}", 18 + number / 256, number % 256);
        // A device's name has 15 letters at most.
        let bridge = format!("tributary{number:03x}");
        let machine = |number| Machine {
            netns: format!("{bridge}-{number}"),
            host: format!("{net}.{}", 10 + number),
            cable: format!("{bridge}-{number}"),
        };
        let machines: Vec<Machine> = (0..count).map(machine).collect();
        let names: Vec<&str> = machines.iter().map(Machine::netns).collect();
        let script = format!(
            "for name in {}; do ip netns del $name; ip link del $name; done; ip link del {bridge}",
            names.join(" ")
        );
        let cleanup = Watchdog::run(&["sh", "-c", &script]).map_err(|error| format!("sh: {error}"))?;
        let network = Self { machines, cleanup: Some(cleanup) };
        ip(&format!("link add {bridge} type bridge"))?;
        ip(&format!("addr add {net}.1/24 dev {bridge}"))?;
        ip(&format!("link set {bridge} up"))?;
        for Machine { netns, host, cable } in &network.machines {
            ip(&format!("netns add {netns}"))?;
            ip(&format!("link add {cable} type veth peer name eth0 netns {netns}"))?;
            ip(&format!("link set {cable} master {bridge} up"))?;
            ip(&format!("-n {netns} link set lo up"))?;
            ip(&format!("-n {netns} addr add {host}/24 dev eth0"))?;
            ip(&format!("-n {netns} link set eth0 up"))?;
        }
        Ok(network)
    }

    /// By its number from 0.
    pub(crate) fn machine(&self, number: usize) -> &Machine {
        &self.machines[number]
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(cleanup) = self.cleanup.take() {
            cleanup.act();
        }
    }
}

impl Machine {
    pub(super) fn netns(&self) -> &str {
        &self.netns
    }

    /// Its address.
    pub(super) fn host(&self) -> &str {
        &self.host
    }

    /// It can reach nobody from now on, and nobody can reach it.
    #[track_caller]
    pub(crate) fn cut(&self) {
        assert!(self.refuses(), "{} is there", self.host);
        self.set("down");
        assert!(!self.refuses(), "{} is cut off", self.host);
    }

    /// All is as before.
    #[track_caller]
    pub(crate) fn mend(&self) {
        self.set("up");
        wait_until(GENEROUS, format_args!("{} to be there", self.host), || self.refuses());
    }

    /// Whether it says that nobody listens at a port.
    fn refuses(&self) -> bool {
        let address = format!("{}:{UNUSED_PORT}", self.host).parse().expect("an address");
        let answer = TcpStream::connect_timeout(&address, ANSWER_LIMIT);
        answer.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    #[track_caller]
    fn set(&self, state: &str) {
        if let Err(why) = ip(&format!("link set {} {state}", self.cable)) {
            panic!("the cable of {} is not {state}: {why}", self.host);
        }
    }
}

/// A command that runs in a namespace. Its program, arguments and nothing else are those of `command`.
pub(super) fn within(netns: &str, command: &Command) -> Command {
    let mut within = Command::new("ip");
    within.args(["netns", "exec", netns]).arg(command.get_program()).args(command.get_args());
    within
}

fn ip(arguments: &str) -> Result<(), String> {
    let ran = run(Command::new("ip").args(arguments.split(' ')), IP_LIMIT);
    ran.map(drop).map_err(|why| format!("ip {arguments}, which takes root: {why}"))
}
