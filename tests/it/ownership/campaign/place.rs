//! Where the Kafka of a campaign is: the broker that all tests share, one of its own with ways to it that can be cut, or three, which may be on machines of
//! their own.

use super::faults::Kind;
use super::options::{Options, Ownership};
use crate::harness::broker::{
    Broker, Network, PrivateBroker, Way, broker, broker_with_ways, cluster, cluster_in_network,
};

/// Of a campaign with brokers that may be lost.
const BROKERS: usize = 3;

pub(super) enum Place {
    Shared,
    Own { broker: Box<PrivateBroker>, ways: Vec<Way> },
    Cluster { nodes: Vec<PrivateBroker>, network: Option<Network> },
}

impl Place {
    /// As the faults need it.
    #[track_caller]
    pub(super) fn of(options: &Options) -> Self {
        let needs = |kind| options.kinds.contains(&kind);
        if needs(Kind::BrokerCutOff) {
            let (nodes, network) = cluster_in_network(BROKERS);
            Self::Cluster { nodes, network: Some(network) }
        } else if needs(Kind::BrokerLost) {
            Self::Cluster { nodes: cluster(BROKERS), network: None }
        } else if needs(Kind::CutOff) || needs(Kind::BrokerStoodStill) {
            let count = match options.ownership {
                Ownership::Group => options.members,
                // Who takes over comes by another way.
                Ownership::Static => 2,
            };
            let (broker, ways) = broker_with_ways(count);
            Self::Own { broker: Box::new(broker), ways }
        } else {
            Self::Shared
        }
    }

    /// One that answers while nothing is wrong.
    pub(super) fn broker(&self) -> &Broker {
        match self {
            Self::Shared => broker(),
            Self::Own { broker, .. } => broker,
            Self::Cluster { nodes, .. } => &nodes[0],
        }
    }

    /// Where an instance finds Kafka, by the way of this number.
    pub(super) fn bootstrap(&self, way: usize) -> String {
        match self {
            Self::Shared => broker().bootstrap().to_owned(),
            Self::Own { ways, .. } => ways[way].address().to_owned(),
            Self::Cluster { nodes, .. } => {
                nodes.iter().map(|node| node.bootstrap()).collect::<Vec<_>>().join(",")
            }
        }
    }

    #[track_caller]
    pub(super) fn way(&self, number: usize) -> &Way {
        let Self::Own { ways, .. } = self else { panic!("there are no ways to this Kafka") };
        &ways[number]
    }

    /// The only one.
    #[track_caller]
    pub(super) fn own(&mut self) -> &mut PrivateBroker {
        let Self::Own { broker, .. } = self else { panic!("there is no broker of its own") };
        broker
    }

    /// One of several, by its number from 0.
    #[track_caller]
    pub(super) fn node(&mut self, number: usize) -> &mut PrivateBroker {
        let Self::Cluster { nodes, .. } = self else { panic!("there is one broker only") };
        &mut nodes[number]
    }

    /// The network of several brokers.
    #[track_caller]
    pub(super) fn network(&self) -> &Network {
        let Self::Cluster { network: Some(network), .. } = self else { panic!("there is no network") };
        network
    }
}
