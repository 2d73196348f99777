//! MQTT 3.1.1 at QoS 1: each subscriber confirms each message to the broker, and the broker each to the publisher.

use std::time::Duration;

use anyhow::{bail, ensure};
use bytes::Bytes;
use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, Packet, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
};

use super::{PORT, Peer, Site, TOPIC};
use crate::tally::Inbox;
use crate::tls::Files;

/// Bytes of a message, with room for its header.
pub const PACKET_MAX: usize = 8 << 20;
/// More than is in flight in any workload that waits for receipts.
pub const IN_FLIGHT_MAX: u16 = 1000;

/// A publisher.
pub struct Mqtt(AsyncClient);

fn connect(site: &Site, name: &str) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let mut options = MqttOptions::new(name, site.address.to_string(), PORT);
    let tls = TlsConfiguration::Rustls(Files::of(&site.folder).client()?.into());
    options.set_transport(Transport::tls_with_config(tls)).set_keep_alive(Duration::from_secs(300));
    options.set_max_packet_size(PACKET_MAX, PACKET_MAX).set_inflight(IN_FLIGHT_MAX);
    let (client, mut events) = AsyncClient::new(options, IN_FLIGHT_MAX.into());
    events.network_options.set_connection_timeout(30);
    Ok((client, events))
}

/// Waits for one kind of packet.
async fn wait(events: &mut EventLoop, is_it: impl Fn(&Packet) -> bool) -> anyhow::Result<Packet> {
    loop {
        match events.poll().await? {
            Event::Incoming(packet) if is_it(&packet) => return Ok(packet),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
}

async fn read(mut events: EventLoop, mut inbox: Inbox) {
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Packet::Publish(publish))) => inbox.take(&publish.payload),
            Ok(_) => {}
            Err(error) => return inbox.fail(&format!("a subscriber's connection ended: {error}")),
        }
    }
}

impl Peer for Mqtt {
    async fn publisher(site: &Site) -> anyhow::Result<Self> {
        let (client, mut events) = connect(site, "publisher")?;
        wait(&mut events, |packet| matches!(packet, Packet::ConnAck(_))).await?;
        // Its end is noticed by what does not come.
        tokio::spawn(async move { while events.poll().await.is_ok() {} });
        Ok(Self(client))
    }

    async fn publish(&mut self, payload: Bytes) -> anyhow::Result<()> {
        Ok(self.0.publish_bytes(TOPIC, QoS::AtLeastOnce, false, payload).await?)
    }

    async fn subscribe(site: &Site, number: usize, inbox: Inbox) -> anyhow::Result<()> {
        let (client, mut events) = connect(site, &format!("subscriber-{number}"))?;
        client.subscribe(TOPIC, QoS::AtLeastOnce).await?;
        let Packet::SubAck(answer) = wait(&mut events, |packet| matches!(packet, Packet::SubAck(_))).await? else {
            bail!("another packet was waited for");
        };
        let taken = SubscribeReasonCode::Success(QoS::AtLeastOnce);
        ensure!(answer.return_codes == [taken], "the broker refused a subscription: {:?}", answer.return_codes);
        tokio::spawn(async move {
            read(events, inbox).await;
            drop(client);
        });
        Ok(())
    }
}
