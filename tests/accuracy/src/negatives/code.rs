//! Programs and settings that speak of secrets and hold none.

use super::Kind;
use super::lists::{many, version};
use super::prose::word;
use crate::rng::{HEX, LOWER};

pub(super) const KINDS: &[Kind] = &[
    ("Python", |r| {
        many(
            r,
            12,
            |r| {
                format!(
                    "def get_{0}_token(self, api_key: str | None = None) -> str:\n    api_key = api_key or os.environ[\"{1}_API_KEY\"]\n    headers = {{\"Authorization\": f\"Bearer {{api_key}}\", \"X-{2}-Key\": self._secret}}\n    return self._client.post(\"/{0}/token\", headers=headers).json()[\"access_token\"]\n",
                    word(r),
                    word(r).to_uppercase(),
                    word(r)
                )
            },
            "\n",
        )
    }),
    ("Rust", |r| {
        many(
            r,
            10,
            |r| {
                format!(
                    "/// The {0} token.\n#[derive(Clone)]\npub struct {1}Token(Secret<String>);\nimpl {1}Token {{\n    pub fn parse(text: &str) -> Result<Self, TokenError> {{\n        let rest = text.strip_prefix(\"ghp_\").or(text.strip_prefix(\"glpat-\")).ok_or(TokenError::Prefix)?;\n        if rest.len() != 36 {{ return Err(TokenError::Length(rest.len())); }}\n        Ok(Self(text.to_owned().into()))\n    }}\n}}\n",
                    word(r),
                    word(r)
                )
            },
            "\n",
        )
    }),
    ("JavaScript", |r| {
        many(
            r,
            12,
            |r| {
                format!(
                    "const {0} = new {1}Client({{ apiKey: process.env.{2}_API_KEY, secretKey: config.get('{0}.secret') }});\nexport const login = async ({{ user, password }}) => {0}.auth.signIn({{ user, password, token: await getToken('{1}') }});\n",
                    word(r),
                    word(r),
                    word(r).to_uppercase()
                )
            },
            "\n",
        )
    }),
    ("Go", |r| {
        many(
            r,
            10,
            |r| {
                format!(
                    "func New{0}(token, secretKey string) (*{0}, error) {{\n\tif !strings.HasPrefix(token, \"xoxb-\") && len(secretKey) != 40 {{\n\t\treturn nil, errors.New(\"{0}: bad token\")\n\t}}\n\treturn &{0}{{token: token, key: os.Getenv(\"{1}_SECRET_ACCESS_KEY\")}}, nil\n}}\n",
                    word(r),
                    word(r).to_uppercase()
                )
            },
            "\n",
        )
    }),
    ("expressions for secrets", |r| {
        many(
            r,
            10,
            |r| {
                format!(
                    "  - id: {}-token\n    pattern: '\\b(ghp|gho|ghs)_[A-Za-z0-9]{{36}}\\b|sk-ant-api03-[\\w-]{{93}}AA|AKIA[A-Z2-7]{{16}}|eyJ[\\w-]+\\.eyJ[\\w-]+'\n    keywords: [ghp_, sk-ant-, AKIA]\n",
                    word(r)
                )
            },
            "",
        )
    }),
    ("CI settings", |r| {
        many(
            r,
            8,
            |r| {
                format!(
                    "  {}:\n    runs-on: ubuntu-latest\n    env:\n      NPM_TOKEN: ${{{{ secrets.NPM_TOKEN }}}}\n      AWS_SECRET_ACCESS_KEY: ${{{{ secrets.AWS_SECRET_ACCESS_KEY }}}}\n      CLOUDFLARE_API_TOKEN: ${{CLOUDFLARE_API_TOKEN}}\n    steps:\n      - uses: actions/checkout@{}\n      - run: cargo test --locked # {}\n",
                    word(r),
                    r.text(HEX, 40),
                    version(r)
                )
            },
            "",
        )
    }),
    ("Kubernetes", |r| {
        many(
            r,
            10,
            |r| {
                format!(
                    "apiVersion: v1\nkind: Deployment\nmetadata:\n  name: {0}\n  uid: {1}\n  labels: {{pod-template-hash: {2}}}\nspec:\n  env:\n    - name: {3}_API_KEY\n      valueFrom: {{secretKeyRef: {{name: {0}-secret, key: token}}}}\n",
                    word(r),
                    r.uuid(),
                    r.text(HEX, 10),
                    word(r).to_uppercase()
                )
            },
            "---\n",
        )
    }),
    ("Dockerfile", |r| {
        many(
            r,
            8,
            |r| {
                format!(
                    "FROM registry.example/{0}:{1}@sha256:{2}\nARG {3}_TOKEN\nRUN --mount=type=secret,id=npmrc npm ci && echo \"//registry.npm.example/:_authToken=${{NPM_TOKEN}}\" > .npmrc\nENV DATABASE_URL=postgres://$USER:$PASSWORD@db:5432/{0}\n",
                    word(r),
                    version(r),
                    r.text(HEX, 64),
                    word(r).to_uppercase()
                )
            },
            "\n",
        )
    }),
    (".env.example", |r| {
        many(
            r,
            12,
            |r| {
                let value = *r.pick(&[
                    "",
                    "your_api_key_here",
                    "changeme",
                    "<your token>",
                    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
                    "${SECRET}",
                    "sk-your-key-here",
                    "REPLACE_ME",
                ]);
                format!(
                    "{}_API_KEY={value}\n{}_SECRET={value}",
                    word(r).to_uppercase(),
                    word(r).to_uppercase()
                )
            },
            "\n",
        )
    }),
    ("Terraform", |r| {
        many(
            r,
            10,
            |r| {
                format!(
                    "resource \"aws_iam_access_key\" \"{0}\" {{\n  user = aws_iam_user.{0}.name\n}}\noutput \"secret\" {{\n  value     = aws_iam_access_key.{0}.secret\n  sensitive = true\n}}\n# arn:aws:iam::{1}:role/{0} AROA{2}\n",
                    word(r),
                    r.text("0123456789", 12),
                    r.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 17)
                )
            },
            "\n",
        )
    }),
    ("translations", |r| {
        many(
            r,
            30,
            |r| {
                format!(
                    "  \"{}.{}.password_token_{}\": \"Please enter the secret key of your {} account\",",
                    word(r),
                    word(r),
                    r.text(LOWER, 4),
                    word(r)
                )
            },
            "\n",
        )
    }),
];
