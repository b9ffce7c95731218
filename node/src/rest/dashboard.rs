//! The dashboard: a page for browsers at `/`, with its files below `/dashboard/`.
//!
//! The files are part of the program and the same for everybody; what the page shows it asks of the API, with the token that its
//! reader gives it. So they are served before the token is looked at, and after `Host` and `Origin` are.
//!
//! **Invariants**: nothing of the store, the settings or the request is in an answer; a browser runs no other script in the page than
//! these files', lets none of them write markup, and asks no other host for anything.

use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

const HTML: &str = "text/html; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file of the page: its name, what it is, and its text.
const FILES: [(&str, &str, &str); 11] = [
    ("style.css", "text/css; charset=utf-8", include_str!("dashboard/style.css")),
    ("icon.svg", "image/svg+xml", include_str!("dashboard/icon.svg")),
    ("script.js", SCRIPT, include_str!("dashboard/script.js")),
    ("refresher.js", SCRIPT, include_str!("dashboard/refresher.js")),
    ("api.js", SCRIPT, include_str!("dashboard/api.js")),
    ("dom.js", SCRIPT, include_str!("dashboard/dom.js")),
    ("overview.js", SCRIPT, include_str!("dashboard/overview.js")),
    ("tasks.js", SCRIPT, include_str!("dashboard/tasks.js")),
    ("task.js", SCRIPT, include_str!("dashboard/task.js")),
    ("acts.js", SCRIPT, include_str!("dashboard/acts.js")),
    ("output.js", SCRIPT, include_str!("dashboard/output.js")),
];

/// What a browser may do with the page. Scripts cannot write markup (`require-trusted-types-for`): what strangers wrote stays text.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Sent with every file. A file is never kept: after an update none is of another version than the node.
const HEADERS: [(HeaderName, &str); 7] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    // At `/` another caller is answered in JSON.
    (header::VARY, "accept"),
];

/// Answers for the page's files; every other request goes on to be asked for its token.
pub(super) async fn before_token(request: Request, next: Next) -> Response {
    match file(request.method(), request.uri().path(), request.headers()) {
        Some((kind, text)) => (HEADERS, [(header::CONTENT_TYPE, kind)], text).into_response(),
        None => next.run(request).await,
    }
}

/// Finds the file that a request is about: its type and its text.
fn file(method: &Method, path: &str, headers: &HeaderMap) -> Option<(&'static str, &'static str)> {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    if path == "/" {
        return wants_page(headers).then_some((HTML, include_str!("dashboard/page.html")));
    }
    let name = path.strip_prefix("/dashboard/")?;
    FILES.iter().find(|(known, ..)| *known == name).map(|(_, kind, text)| (*kind, *text))
}

/// Tells whether a caller names HTML, and would rather have it than JSON. Who takes anything, as curl does, is no browser.
fn wants_page(headers: &HeaderMap) -> bool {
    let (mut html, mut json) = (0.0, 0.0);
    for range in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().unwrap_or_default();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |text| text.trim().parse().unwrap_or(0.0_f32));
        if named.eq_ignore_ascii_case("text/html") {
            html = weight;
        } else if named.eq_ignore_ascii_case("application/json") {
            json = weight;
        }
    }
    html > json
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn wants(accept: &[&'static str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in accept {
            headers.append(header::ACCEPT, HeaderValue::from_static(value));
        }
        wants_page(&headers)
    }

    #[test]
    fn a_browser_is_told_from_a_program() {
        let browsers: [&[&str]; 5] = [
            &["text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"],
            &["text/html"],
            &["TEXT/HTML; q=0.5"],
            &["application/json;q=0.4, text/html;level=1;q=0.5"],
            &["application/xml", "text/html"],
        ];
        for accept in browsers {
            assert!(wants(accept), "{accept:?}");
        }
        let programs: [&[&str]; 9] = [
            &[],
            &["*/*"],
            &["text/*"],
            &["application/json"],
            &["application/json, text/html"],
            &["application/json, text/html;q=0.9"],
            &["text/html;q=0"],
            &["text/html;q=high"],
            &["application/json, text/plain, */*"],
        ];
        for accept in programs {
            assert!(!wants(accept), "{accept:?}");
        }
    }

    #[test]
    fn the_page_names_no_file_that_is_not_served_and_every_file_is_named() {
        let served: Vec<_> = FILES.iter().map(|(name, ..)| *name).collect();
        let texts = FILES.iter().map(|(.., text)| *text).chain([include_str!("dashboard/page.html")]);
        let mut named: Vec<&str> = texts.flat_map(links).collect();
        named.sort_unstable();
        named.dedup();
        assert!(named.iter().all(|name| served.contains(name)), "{named:?} of {served:?}");
        assert!(served.iter().all(|name| named.contains(name)), "{served:?} of {named:?}");
    }

    /// The page's own files that a text of it names.
    fn links(text: &str) -> Vec<&str> {
        let after = |mark: &'static str| text.split(mark).skip(1).filter_map(|rest| rest.split(['"', '\'']).next());
        after("\"/dashboard/").chain(after("from './")).collect()
    }
}
