# bot-bottle. `make demo` runs the main job, `make test` every test; both install what is missing.
#
#   make build     release programs in target/release
#   make install   the same under PREFIX (~/.local unless given)
#   make lint      format, lints, docs
#   make generated rewrite the generated schemas and pages
#   make bench     measure; ONLY=name for one benchmark
#   make accuracy  how much of what must not leave is found, and how much else; SEED=number for other texts
#   make chaos     the story of asking with its processes killed and its bus away, on each backend, and starts of containers
#                  that are killed; ROUNDS=5, AWAY=60 seconds, CYCLES=100, SEED=number
#   make fuzz      look for inputs that break a promise; FUZZ_SECONDS=20 for each target, FUZZ=name for one

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo test build install lint generated bench accuracy chaos fuzz prerequisites tools programs

CARGO ?= cargo
PREFIX ?= $(HOME)/.local
HOST := $(shell rustc -vV 2>/dev/null | sed -n 's/^host: //p')
ONLY ?=
FUZZ ?= codings commands events frames injection objects request rules secrets
FUZZ_SECONDS ?= 20
SEED ?=
ROUNDS ?= 5
AWAY ?= 60
CYCLES ?= 100

help:
	@sed -n '1,11s/^# \{0,1\}//p' Makefile

# What the machine must have: system packages, then the pinned programs under .tools.
prerequisites:
	@deploy/tools/prerequisites

tools: prerequisites
	@deploy/tools/fetch

# The bottle's init is linked statically, since it must run in any image; it lies beside the others in `static/`.
define static_init
	$(CARGO) build --locked $(1) -p bot-bottle-init --target $(HOST) --config 'target.$(HOST).rustflags=["-C","target-feature=+crt-static"]'
	mkdir -p target/$(2)/static
	install -m 755 target/$(HOST)/$(2)/bot-bottle-init target/$(2)/static/bot-bottle-init
endef

programs: tools
	$(CARGO) build --locked
	$(call static_init,,debug)

demo: programs
	target/debug/bot-bottle demo

test: programs
	@deploy/tools/prerequisites test
	@deploy/tools/clients
	@deploy/tools/engine check && deploy/tools/base-image || test -z "$$BOT_BOTTLE_NO_SKIPPING"
	@deploy/tools/runsc || test $$? -eq 3 || test -z "$$BOT_BOTTLE_NO_SKIPPING"
	$(CARGO) test --locked --no-fail-fast
	target/debug/bot-bottle demo

build: tools
	$(CARGO) build --locked --release
	$(call static_init,--release,release)

PROGRAMS := $(addprefix bot-bottle-,launcher egress supervisor dispatcher door gitgate deploy-keys)
TOOLS := nats-server gitleaks
install: build
	install -d $(PREFIX)/bin $(PREFIX)/libexec/bot-bottle/static
	install -m 755 target/release/bot-bottle $(PREFIX)/bin/
	install -m 755 $(addprefix target/release/,$(PROGRAMS)) $(addprefix .tools/bin/,$(TOOLS)) $(PREFIX)/libexec/bot-bottle/
	install -m 755 target/release/static/bot-bottle-init $(PREFIX)/libexec/bot-bottle/static/
	$(PREFIX)/bin/bot-bottle init --bare
	$(PREFIX)/bin/bot-bottle doctor

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --quiet

generated:
	UPDATE_GENERATED=1 $(CARGO) test --locked -p bot-bottle-bus -p bot-bottle-manifest -p bot-bottle

# The rival that scans is a Python program; without it its benchmark says that it was not measured.
bench: build
	@test -x .tools/mitmproxy/bin/mitmdump || python3 -m pip install --quiet --disable-pip-version-check \
	    --target .tools/mitmproxy mitmproxy==11.0.2 || echo "mitmproxy cannot be installed; going on without it" >&2
	$(CARGO) build --locked --release -p bot-bottle-bench
	$(if $(ONLY),ONLY=$(ONLY)) target/release/bot-bottle-bench

accuracy: tools
	$(CARGO) run --locked --quiet --package bot-bottle-accuracy -- $(SEED)

# `make test` tells each of these stories once, with the bus away for five seconds, and kills ten starts.
chaos: programs
	BOT_BOTTLE_ROUNDS=$(ROUNDS) BOT_BOTTLE_AWAY=$(AWAY) BOT_BOTTLE_CYCLES=$(CYCLES) $(if $(SEED),BOT_BOTTLE_SEED=$(SEED)) $(CARGO) test --locked \
	    -p bot-bottle-tests --test stories -- surviving:: cycles:: --nocapture --test-threads=3

# The stable compiler counts coverage; RUSTC_BOOTSTRAP stands for the nightly one that cargo-fuzz is made for. What is new to
# the fuzzer goes to target/, what it finds to fuzz/artifacts; the kept inputs stay as they are.
fuzz: tools
	@test -x .tools/bin/cargo-fuzz || $(CARGO) install --locked --quiet --root .tools --version 0.13.2 cargo-fuzz
	RUSTC_BOOTSTRAP=1 .tools/bin/cargo-fuzz fuzz build --fuzz-dir fuzz --sanitizer none
	@set -e; for target in $(FUZZ); do \
	    echo "$$target:"; mkdir -p fuzz/target/found/$$target fuzz/artifacts/$$target; \
	    fuzz/target/$(HOST)/release/$$target fuzz/target/found/$$target fuzz/corpus/$$target \
	        -artifact_prefix=fuzz/artifacts/$$target/ -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=10 \
	        -rss_limit_mb=2048 -verbosity=0 -print_final_stats=1; \
	done
