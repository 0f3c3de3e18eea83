//! The mock service. It shares no code with the connector, so that one bug cannot sit on both ends.
