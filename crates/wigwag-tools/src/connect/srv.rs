//! `-S`: brokers that a domain names in its SRV records.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

use super::failure::Failure;

/// The hosts and ports of a domain's brokers, in the order in which they want to be called.
pub(super) async fn lookup(domain: &str, is_tls: bool) -> Result<Vec<(String, u16)>, Failure> {
    let resolver = TokioResolver::builder_tokio()
        .and_then(hickory_resolver::ResolverBuilder::build)
        .map_err(|_| Failure::Lookup(domain.to_owned()))?;
    ask(&resolver, domain, is_tls).await
}

/// The same of a resolver's servers. What has the smaller priority is called first, and of these what has the larger
/// weight; who wants to be called in turn is not, because a tool connects once.
async fn ask(
    resolver: &TokioResolver,
    domain: &str,
    is_tls: bool,
) -> Result<Vec<(String, u16)>, Failure> {
    let failed = || Failure::Lookup(domain.to_owned());
    let service = if is_tls { "_secure-mqtt" } else { "_mqtt" };
    let name = format!("{service}._tcp.{domain}.");
    let answer = resolver.srv_lookup(name).await.map_err(|_| failed())?;
    let mut found: Vec<(u16, u16, String, u16)> = (answer.answers().iter())
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => {
                let host = srv.target.to_utf8();
                let host = host.trim_end_matches('.').to_owned();
                Some((srv.priority, u16::MAX - srv.weight, host, srv.port))
            }
            _ => None,
        })
        .collect();
    found.sort();
    if found.is_empty() {
        return Err(failed());
    }
    let brokers = found.into_iter().map(|(_, _, host, port)| (host, port));
    Ok(brokers.collect())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
    use hickory_resolver::net::runtime::TokioRuntimeProvider;
    use tokio::net::UdpSocket;

    use super::*;

    /// The answer to a question of one name: priority, weight, port and host of each record.
    fn answer(question: &[u8], records: &[(u16, u16, u16, &[u8])]) -> Vec<u8> {
        let mut out = question[..2].to_vec();
        // A response without an error: one question, its answers, nothing else.
        out.extend([
            0x81,
            0x80,
            0,
            1,
            0,
            u8::try_from(records.len()).expect("few"),
            0,
            0,
            0,
            0,
        ]);
        let name_len = question[12..]
            .iter()
            .position(|byte| *byte == 0)
            .expect("a name");
        out.extend(&question[12..12 + name_len + 5]);
        for (priority, weight, port, host) in records {
            // The name of the question, SRV, IN, a minute.
            out.extend([0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 60]);
            let len = u16::try_from(6 + host.len()).expect("short");
            for number in [len, *priority, *weight, *port] {
                out.extend(number.to_be_bytes());
            }
            out.extend(*host);
        }
        out
    }

    #[tokio::test]
    async fn a_domain_names_its_brokers() {
        const FIRST: &[u8] = b"\x01a\x04test\0";
        const SECOND: &[u8] = b"\x01b\x04test\0";
        let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a port");
        let mut connection = ConnectionConfig::udp();
        connection.port = server.local_addr().expect("bound").port();
        let serve = async move {
            let mut buffer = [0; 512];
            loop {
                let (len, peer) = server.recv_from(&mut buffer).await.expect("open");
                let records = [
                    (20, 1, 1, SECOND),
                    (10, 5, 1884, SECOND),
                    (10, 9, 1883, FIRST),
                ];
                let answer = answer(&buffer[..len], &records);
                let asked = b"\x0c_secure-mqtt\x04_tcp\x07example\x00";
                assert_eq!(&buffer[12..12 + asked.len()], asked);
                server.send_to(&answer, peer).await.expect("open");
            }
        };
        let mut name_server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        name_server.connections = vec![connection];
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![name_server]);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        let resolver = resolver.build().expect("valid");
        let found = tokio::select! {
            found = ask(&resolver, "example", true) => found.expect("it is answered"),
            () = serve => unreachable!("it serves for ever"),
        };
        let found: Vec<(&str, u16)> = found
            .iter()
            .map(|(host, port)| (host.as_str(), *port))
            .collect();
        assert_eq!(found, [("a.test", 1883), ("b.test", 1884), ("b.test", 1)]);
    }
}
