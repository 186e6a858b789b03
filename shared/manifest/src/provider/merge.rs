//! A provider's routes and a bottle's own (E15): for one host they become one, field by field.

use policy::problem::{KeyPath, Problems};
use policy::route::{Dlp, OnMatch};
use policy::{EgressPolicy, HostPattern, Route};

/// The policy with the provider's routes. Where the bottle has a route of the same host and port, a field that only one
/// of both has counts, and a field that both have must be the same. What leaves by a provider's route is blotted out
/// where a detector finds something, unless one of both says otherwise (E9).
///
/// # Errors
/// Each field in which they differ.
pub(crate) fn with_routes(mut egress: EgressPolicy, routes: Vec<Route>) -> Result<EgressPolicy, Problems> {
    let mut problems = Problems::default();
    for mut route in routes {
        let found = egress.routes.iter().position(|own| is_same(own, &route));
        match found {
            Some(index) => {
                let at = KeyPath::root().key("routes").item(index);
                fill(&mut egress.routes[index], route, &at, &mut problems);
                blot(&mut egress.routes[index]);
            }
            None => {
                blot(&mut route);
                egress.routes.push(route);
            }
        }
    }
    if problems.is_empty() { Ok(egress) } else { Err(problems) }
}

fn is_same(one: &Route, other: &Route) -> bool {
    let host = |route: &Route| HostPattern::parse(&route.host).map(|host| host.to_string()).ok();
    host(one) == host(other) && one.effective_port() == other.effective_port()
}

fn blot(route: &mut Route) {
    let dlp = route.dlp.get_or_insert_with(Dlp::default);
    dlp.outbound_on_match.get_or_insert(OnMatch::Redact);
}

/// Gives the bottle's route what it does not say itself.
fn fill(own: &mut Route, route: Route, at: &KeyPath, problems: &mut Problems) {
    let mut differs = |key: &str| {
        let message =
            "the provider sets this too, and differently; leave it out here, or choose another provider";
        problems.push(&at.key(key), message);
    };
    if own.scheme != route.scheme {
        differs("scheme");
    }
    one(&mut own.auth, route.auth, || differs("auth"));
    many(&mut own.matches, route.matches, || differs("matches"));
    one(&mut own.git, route.git, || differs("git"));
    one(&mut own.tls, route.tls, || differs("tls"));
    many(&mut own.allow_private, route.allow_private, || differs("allow_private"));
    one(&mut own.connect_to, route.connect_to, || differs("connect_to"));
    one(&mut own.mount, route.mount, || differs("mount"));
    let dlp = own.dlp.get_or_insert_with(Dlp::default);
    let theirs = route.dlp.unwrap_or_default();
    // What is scanned is the operator's to say, and no conflict.
    dlp.outbound_detectors = dlp.outbound_detectors.take().or(theirs.outbound_detectors);
    dlp.inbound_detectors = dlp.inbound_detectors.take().or(theirs.inbound_detectors);
    dlp.outbound_on_match = dlp.outbound_on_match.or(theirs.outbound_on_match);
}

fn one<T: PartialEq>(own: &mut Option<T>, theirs: Option<T>, differs: impl FnOnce()) {
    match (&own, theirs) {
        (Some(own), Some(theirs)) if *own != theirs => differs(),
        (None, theirs) => *own = theirs,
        _ => {}
    }
}

fn many<T: PartialEq>(own: &mut Vec<T>, theirs: Vec<T>, differs: impl FnOnce()) {
    match (own.is_empty(), theirs.is_empty()) {
        (false, false) if *own != theirs => differs(),
        (true, _) => *own = theirs,
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value as Json, json};

    fn route(json: Json) -> Route {
        serde_json::from_value(json).unwrap()
    }

    fn merged(own: Json, theirs: Json) -> Result<Json, String> {
        let egress = EgressPolicy { log: None, routes: vec![route(own)] };
        with_routes(egress, vec![route(theirs)])
            .map(|egress| serde_json::to_value(egress.routes).unwrap())
            .map_err(|problems| problems.to_string())
    }

    #[test]
    fn fields_that_one_has_count() {
        let auth = json!({"scheme": "Bearer", "token_ref": "T"});
        let own = json!({"host": "API.example.com", "connect_to": "127.0.0.1:1", "dlp": {"inbound_detectors": false}});
        let both = merged(own, json!({"host": "api.example.com", "auth": auth})).unwrap();
        assert_eq!(
            both,
            json!([{
                "host": "API.example.com", "auth": auth, "connect_to": "127.0.0.1:1",
                "dlp": {"inbound_detectors": false, "outbound_on_match": "redact"},
            }])
        );
    }

    #[test]
    fn a_field_that_differs_is_an_error_and_an_equal_one_is_not() {
        let own =
            |token: &str| json!({"host": "a.example", "auth": {"scheme": "Bearer", "token_ref": token}});
        assert!(merged(own("T"), own("T")).is_ok());
        let error = merged(own("T"), own("U")).unwrap_err();
        assert!(error.contains("routes[0].auth"), "{error}");
    }

    #[test]
    fn another_port_is_another_route_and_the_operator_may_be_stricter() {
        let own = json!({"host": "a.example", "port": 8443, "dlp": {"outbound_on_match": "block"}});
        let both = merged(own.clone(), json!({"host": "a.example"})).unwrap();
        assert_eq!(both.as_array().unwrap().len(), 2);
        assert_eq!(both[0], own);
        let own = json!({"host": "a.example", "dlp": {"outbound_on_match": "block"}});
        assert_eq!(merged(own.clone(), json!({"host": "a.example"})).unwrap()[0], own);
    }
}
