//! Tokens as the providers document them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use crate::rng::{ALNUM, BASE32, BASE64, DIGITS, HEX, LETTERS, LOWER, Rng, UPPER, URL};

/// A kind of token.
#[derive(Clone, Copy)]
pub struct Kind {
    /// Whose.
    pub provider: &'static str,
    /// Under which name it is used, for tokens that do not say themselves whose they are.
    pub name: Option<&'static str>,
    /// Makes one.
    pub make: fn(&mut Rng) -> String,
}

const fn own(provider: &'static str, make: fn(&mut Rng) -> String) -> Kind {
    Kind { provider, name: None, make }
}

const fn named(provider: &'static str, name: &'static str, make: fn(&mut Rng) -> String) -> Kind {
    Kind { provider, name: Some(name), make }
}

/// Every kind.
pub const KINDS: &[Kind] = &[
    own("GitHub", |r| format!("ghp_{}", r.text(ALNUM, 36))),
    own("GitHub", |r| format!("gho_{}", r.text(ALNUM, 36))),
    own("GitHub", |r| format!("ghs_{}", r.text(ALNUM, 36))),
    own("GitHub", |r| format!("github_pat_{}_{}", r.text(ALNUM, 22), r.text(ALNUM, 59))),
    own("GitLab", |r| format!("glpat-{}", r.text(URL, 20))),
    own("GitLab", |r| format!("glpat-{}.01.{}", r.text(URL, 27), r.text(LOWER, 9))),
    own("GitLab", |r| format!("gldt-{}", r.text(URL, 20))),
    own("GitLab", |r| format!("glrt-{}", r.text(URL, 20))),
    own("GitLab", |r| format!("glptt-{}", r.text(HEX, 40))),
    own("GitLab", |r| format!("glcbt-{}_{}", r.text(DIGITS, 2), r.text(URL, 20))),
    own("Bitbucket", |r| format!("ATBB{}{}", r.text(ALNUM, 24), r.text("0123456789ABCDEF", 8))),
    own("Atlassian", |r| format!("ATATT3xFfGF0{}={}", r.text(URL, 171), r.text("0123456789ABCDEF", 8))),
    named("Gitea", "GITEA_TOKEN", |r| r.text(HEX, 40)),
    named("Forgejo", "FORGEJO_ACCESS_TOKEN", |r| r.text(HEX, 40)),
    own("AWS key id", |r| format!("AKIA{}", r.text(BASE32, 16))),
    own("AWS key id", |r| format!("ASIA{}", r.text(BASE32, 16))),
    named("AWS secret key", "AWS_SECRET_ACCESS_KEY", |r| r.text(BASE64, 40)),
    named("AWS secret key", "secretAccessKey", |r| r.text(BASE64, 40)),
    named("AWS session token", "AWS_SESSION_TOKEN", |r| {
        format!("{}{}", STANDARD.encode("!\n\torigin"), r.text(BASE64, 300))
    }),
    own("Google API key", |r| format!("AIza{}", r.text(URL, 35))),
    own("Google OAuth", |r| format!("ya29.{}", r.text(URL, 180))),
    own("Google OAuth", |r| format!("GOCSPX-{}", r.text(URL, 28))),
    named("Azure storage", "AccountKey", |r| format!("{}==", r.text(BASE64, 86))),
    own("Azure application", |r| format!("{}8Q~{}", r.text(ALNUM, 3), r.text(URL, 34))),
    own("Azure DevOps", |r| format!("{}AZDO{}", r.text(ALNUM, 76), r.text(ALNUM, 4))),
    named("Azure OpenAI", "AZURE_OPENAI_API_KEY", |r| r.text(HEX, 32)),
    own("Alibaba Cloud", |r| format!("LTAI{}", r.text(ALNUM, 20))),
    own("DigitalOcean", |r| format!("dop_v1_{}", r.text(HEX, 64))),
    named("Linode", "LINODE_TOKEN", |r| r.text(HEX, 64)),
    named("Hetzner", "HCLOUD_TOKEN", |r| r.text(ALNUM, 64)),
    named("Cloudflare", "CLOUDFLARE_API_TOKEN", |r| r.text(URL, 40)),
    own("Cloudflare", |r| format!("cfut_{}{}", r.text(ALNUM, 40), r.text(HEX, 8))),
    own("Cloudflare origin CA", |r| format!("v1.0-{}-{}", r.text(HEX, 24), r.text(HEX, 146))),
    named("Heroku", "HEROKU_API_KEY", Rng::uuid),
    own("Heroku", |r| format!("HRKU-AA{}", r.text(URL, 58))),
    own("Fly.io", |r| format!("fo1_{}", r.text(URL, 43))),
    named("Vercel", "VERCEL_TOKEN", |r| r.text(ALNUM, 24)),
    own("Netlify", |r| format!("nfp_{}", r.text(ALNUM, 36))),
    own("Render", |r| format!("rnd_{}", r.text(ALNUM, 28))),
    own("Tailscale", |r| format!("tskey-auth-{}CNTRL-{}", r.text(ALNUM, 12), r.text(ALNUM, 32))),
    own("OpenAI", |r| format!("sk-{}T3BlbkFJ{}", r.text(ALNUM, 20), r.text(ALNUM, 20))),
    own("OpenAI", |r| format!("sk-proj-{}T3BlbkFJ{}", r.text(URL, 74), r.text(URL, 74))),
    own("OpenAI", |r| format!("sk-svcacct-{}T3BlbkFJ{}", r.text(URL, 58), r.text(URL, 58))),
    own("OpenAI", |r| format!("sk-admin-{}T3BlbkFJ{}", r.text(URL, 58), r.text(URL, 58))),
    own("Anthropic", |r| format!("sk-ant-api03-{}AA", r.text(URL, 93))),
    own("Anthropic", |r| format!("sk-ant-oat01-{}AA", r.text(URL, 93))),
    own("Hugging Face", |r| format!("hf_{}", r.text(LETTERS, 34))),
    own("Groq", |r| format!("gsk_{}", r.text(ALNUM, 52))),
    own("xAI", |r| format!("xai-{}", r.text(ALNUM, 80))),
    named("Mistral", "MISTRAL_API_KEY", |r| r.text(ALNUM, 32)),
    named("Cohere", "COHERE_API_KEY", |r| r.text(ALNUM, 40)),
    own("Replicate", |r| format!("r8_{}", r.text(ALNUM, 37))),
    own("Perplexity", |r| format!("pplx-{}", r.text(ALNUM, 48))),
    own("DeepSeek", |r| format!("sk-{}", r.text(HEX, 32))),
    own("OpenRouter", |r| format!("sk-or-v1-{}", r.text(HEX, 64))),
    own("NVIDIA", |r| format!("nvapi-{}", r.text(URL, 64))),
    own("Pinecone", |r| format!("pcsk_{}_{}", r.text(ALNUM, 6), r.text(ALNUM, 63))),
    own("LangSmith", |r| format!("lsv2_pt_{}_{}", r.text(HEX, 32), r.text(HEX, 10))),
    own("Slack", |r| format!("xoxb-{}-{}-{}", r.text(DIGITS, 12), r.text(DIGITS, 13), r.text(ALNUM, 24))),
    own("Slack", |r| {
        format!(
            "xoxp-{}-{}-{}-{}",
            r.text(DIGITS, 12),
            r.text(DIGITS, 12),
            r.text(DIGITS, 13),
            r.text(HEX, 32)
        )
    }),
    own("Slack", |r| format!("xapp-1-A{}-{}-{}", r.text(UPPER, 10), r.text(DIGITS, 13), r.text(HEX, 64))),
    own("Slack webhook", |r| {
        format!(
            "https://hooks.slack.com/services/T{}/B{}/{}",
            r.text(UPPER, 8),
            r.text(UPPER, 10),
            r.text(ALNUM, 24)
        )
    }),
    named("Discord", "DISCORD_TOKEN", |r| {
        format!(
            "{}.{}.{}",
            STANDARD.encode(format!("1{}", r.text(DIGITS, 17))),
            r.text(URL, 6),
            r.text(URL, 38)
        )
    }),
    own("Discord webhook", |r| {
        format!("https://discord.com/api/webhooks/1{}/{}", r.text(DIGITS, 18), r.text(URL, 68))
    }),
    own("Telegram", |r| format!("7{}:AA{}", r.text(DIGITS, 9), r.text(URL, 33))),
    own("Twilio", |r| format!("SK{}", r.text(HEX, 32))),
    named("Twilio", "TWILIO_AUTH_TOKEN", |r| r.text(HEX, 32)),
    own("SendGrid", |r| format!("SG.{}.{}", r.text(URL, 22), r.text(URL, 43))),
    own("Mailgun", |r| format!("key-{}", r.text(HEX, 32))),
    own("Mailchimp", |r| format!("{}-us{}", r.text(HEX, 32), r.between(1, 21))),
    named("Postmark", "POSTMARK_SERVER_TOKEN", Rng::uuid),
    own("Brevo", |r| format!("xkeysib-{}-{}", r.text(HEX, 64), r.text(ALNUM, 16))),
    own("Stripe", |r| format!("sk_live_{}", r.text(ALNUM, 24))),
    own("Stripe", |r| format!("sk_live_51{}", r.text(ALNUM, 97))),
    own("Stripe", |r| format!("rk_live_{}", r.text(ALNUM, 24))),
    own("Stripe webhook", |r| format!("whsec_{}", r.text(ALNUM, 32))),
    own("Square", |r| format!("sq0atp-{}", r.text(URL, 22))),
    own("Square", |r| format!("EAAA{}", r.text(URL, 60))),
    own("PayPal Braintree", |r| format!("access_token$production${}${}", r.text(LOWER, 16), r.text(HEX, 32))),
    own("Shopify", |r| format!("shpat_{}", r.text(HEX, 32))),
    own("Shopify", |r| format!("shpss_{}", r.text(HEX, 32))),
    own("npm", |r| format!("npm_{}", r.text(ALNUM, 36))),
    own("PyPI", |r| format!("pypi-{}{}", URL_SAFE_NO_PAD.encode(b"\x02\x01\x08pypi.org"), r.text(URL, 160))),
    own("crates.io", |r| format!("cio{}", r.text(ALNUM, 32))),
    own("RubyGems", |r| format!("rubygems_{}", r.text(HEX, 48))),
    own("NuGet", |r| format!("oy2{}", r.text(LOWER, 43))),
    own("Docker Hub", |r| format!("dckr_pat_{}", r.text(URL, 27))),
    own("Artifactory", |r| format!("AKCp{}", r.text(ALNUM, 69))),
    own("Sonar", |r| format!("squ_{}", r.text(HEX, 40))),
    own("CircleCI", |r| format!("CCIPAT_{}_{}", r.text(ALNUM, 22), r.text(HEX, 40))),
    own("Terraform Cloud", |r| format!("{}.atlasv1.{}", r.text(ALNUM, 14), r.text(ALNUM, 67))),
    own("Pulumi", |r| format!("pul-{}", r.text(HEX, 40))),
    own("Postman", |r| format!("PMAK-{}-{}", r.text(HEX, 24), r.text(HEX, 34))),
    own("Linear", |r| format!("lin_api_{}", r.text(ALNUM, 40))),
    own("Notion", |r| format!("ntn_{}{}", r.text(DIGITS, 11), r.text(ALNUM, 35))),
    own("Notion", |r| format!("secret_{}", r.text(ALNUM, 43))),
    own("Airtable", |r| format!("pat{}.{}", r.text(ALNUM, 14), r.text(HEX, 64))),
    own("Asana", |r| format!("1/12{}:{}", r.text(DIGITS, 14), r.text(HEX, 32))),
    own("Figma", |r| format!("figd_{}", r.text(URL, 40))),
    own("HubSpot", |r| format!("pat-na1-{}", r.uuid())),
    named("Datadog", "DD_API_KEY", |r| r.text(HEX, 32)),
    named("Datadog", "DATADOG_APP_KEY", |r| r.text(HEX, 40)),
    own("New Relic", |r| format!("NRAK-{}", r.text(UPPER, 27))),
    own("New Relic", |r| format!("{}NRAL", r.text(HEX, 36))),
    own("Sentry", |r| format!("sntryu_{}", r.text(HEX, 64))),
    own("Sentry", |r| {
        let claims = format!(
            "{{\"iat\":17{}.5,\"url\":\"https://sentry.io\",\"org\":\"{}\"}}",
            r.text(DIGITS, 8),
            r.text(LOWER, 8)
        );
        format!("sntrys_{}_{}", STANDARD.encode(claims), r.text(BASE64, 43))
    }),
    own("Grafana", |r| format!("glsa_{}_{}", r.text(ALNUM, 32), r.text(HEX, 8))),
    own("Grafana", |r| {
        let claims = format!(
            "{{\"o\":\"{}\",\"n\":\"ci\",\"k\":\"{}\",\"m\":{{\"r\":\"eu\"}}}}",
            r.text(DIGITS, 6),
            r.text(ALNUM, 24)
        );
        format!("glc_{}", STANDARD.encode(claims))
    }),
    named("PagerDuty", "PAGERDUTY_API_KEY", |r| format!("u+{}", r.text(URL, 18))),
    own("Dynatrace", |r| format!("dt0c01.{}.{}", r.text(BASE32, 24), r.text(BASE32, 64))),
    own("PostHog", |r| format!("phx_{}", r.text(ALNUM, 43))),
    own("Vault", |r| format!("hvs.{}", r.text(URL, 91))),
    own("Doppler", |r| format!("dp.pt.{}", r.text(ALNUM, 43))),
    own("1Password", |r| {
        format!(
            "ops_{}",
            STANDARD.encode(format!(
                "{{\"signInAddress\":\"my.1password.com\",\"key\":\"{}\"}}",
                r.text(ALNUM, 180)
            ))
        )
    }),
    own("Databricks", |r| format!("dapi{}", r.text(HEX, 32))),
    own("Supabase", |r| format!("sbp_{}", r.text(HEX, 40))),
    own("PlanetScale", |r| format!("pscale_tkn_{}", r.text(URL, 43))),
    own("Neon", |r| format!("napi_{}", r.text(LOWER, 64))),
    own("MongoDB Atlas", |r| format!("mdb_sa_sk_{}", r.text(URL, 40))),
    named("Algolia", "ALGOLIA_ADMIN_KEY", |r| r.text(HEX, 32)),
    named("Snowflake", "SNOWFLAKE_PASSWORD", |r| r.text(ALNUM, 28)),
    own("Mapbox", |r| {
        let claims = format!("{{\"u\":\"{}\",\"a\":\"cm{}\"}}", r.text(LOWER, 10), r.text(LOWER, 23));
        format!("sk.{}.{}", URL_SAFE_NO_PAD.encode(claims), r.text(URL, 22))
    }),
    own("LaunchDarkly", |r| format!("sdk-{}", r.uuid())),
    own("age", |r| format!("AGE-SECRET-KEY-1{}", r.text("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))),
    own("JWT", jwt),
    own("PostgreSQL address", |r| {
        format!("postgresql://app:{}@db-{}.internal:5432/app", password(r), r.text(LOWER, 4))
    }),
    own("MySQL address", |r| {
        format!("mysql://svc_{}:{}@10.2.0.7:3306/orders", r.text(LOWER, 4), password(r))
    }),
    own("MongoDB address", |r| {
        format!(
            "mongodb+srv://root:{}@cluster0.{}.mongodb.net/?retryWrites=true",
            password(r),
            r.text(LOWER, 5)
        )
    }),
    own("Redis address", |r| {
        format!("rediss://:{}@cache.{}.example.net:6380/0", password(r), r.text(LOWER, 5))
    }),
    own("AMQP address", |r| format!("amqps://events:{}@mq.{}.net/prod", password(r), r.text(LOWER, 6))),
    own("HTTP address", |r| format!("https://ci:{}@git.{}.org/team/app.git", password(r), r.text(LOWER, 6))),
    own("Basic authorization", |r| {
        format!("Basic {}", STANDARD.encode(format!("svc-{}:{}", r.text(LOWER, 5), password(r))))
    }),
    own("Private key (RSA)", |r| pem(r, "RSA PRIVATE KEY", "MIIEpAIBAAKCAQEA", 1600)),
    own("Private key (EC)", |r| pem(r, "EC PRIVATE KEY", "MHcCAQEEI", 155)),
    own("Private key (PKCS8)", |r| {
        pem(r, "PRIVATE KEY", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ", 1600)
    }),
    own("Private key (OpenSSH)", |r| {
        pem(
            r,
            "OPENSSH PRIVATE KEY",
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQyNTUxOQAAACD",
            280,
        )
    }),
    own("Private key (PGP)", |r| pem(r, "PGP PRIVATE KEY BLOCK", "lQVYB", 2400)),
];

fn password(r: &mut Rng) -> String {
    let length = r.between(12, 20);
    r.text(ALNUM, length)
}

fn jwt(r: &mut Rng) -> String {
    let claims = format!(
        "{{\"sub\":\"{}\",\"iat\":17{},\"role\":\"service_role\"}}",
        r.text(LOWER, 12),
        r.text(DIGITS, 8)
    );
    let header = URL_SAFE_NO_PAD.encode("{\"alg\":\"HS256\",\"typ\":\"JWT\"}");
    format!("{header}.{}.{}", URL_SAFE_NO_PAD.encode(claims), r.text(URL, 43))
}

fn pem(r: &mut Rng, label: &str, start: &str, length: usize) -> String {
    let body = format!("{start}{}", r.text(BASE64, length - start.len()));
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}
