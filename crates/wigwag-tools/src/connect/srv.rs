//! `-S`: brokers that a domain names in its SRV records.

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

use super::failure::Failure;

/// The hosts and ports of a domain's brokers, in the order in which they want to be called.
pub(super) async fn lookup(domain: &str, is_tls: bool) -> Result<Vec<(String, u16)>, Failure> {
    let failed = || Failure::Lookup(domain.to_owned());
    let resolver = TokioResolver::builder_tokio()
        .and_then(hickory_resolver::ResolverBuilder::build)
        .map_err(|_| failed())?;
    let service = if is_tls { "_secure-mqtt" } else { "_mqtt" };
    let name = format!("{service}._tcp.{domain}");
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
    Ok(found
        .into_iter()
        .map(|(_, _, host, port)| (host, port))
        .collect())
}
