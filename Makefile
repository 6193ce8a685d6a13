# What people and CI run. Each target says on failure what to do.

CARGO ?= cargo
# Where setup puts the toolchain, and where Debian keeps network tools.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/sbin:/usr/sbin:/sbin

.PHONY: demo test check setup build kube kube-current fmt-check clippy docs deny advisories openapi images

## Shows isolated networks on three switches in a ring: real Open vSwitch as root, else embedded switches.
demo: build
	$(CARGO) run --quiet --locked -p testbed -- demo

## Everything that can be tested here. Labs on real Open vSwitch need root, stories on Kubernetes an API server (kube);
## what is left out says so.
test: build kube
	$(CARGO) test --workspace --locked

## What must hold before a change goes in.
check: fmt-check clippy docs test deny openapi

## Installs the toolchain and packages that the others need (Debian, Ubuntu).
setup:
	scripts/setup

# Tests and the demo start these programs.
build: setup
	$(CARGO) build --workspace --bins --locked

## Builds a Kubernetes API server for tests, once, into a cache folder; without, stories on Kubernetes are left out.
kube: setup
	@[ -n "$$KUBEBUILDER_ASSETS" ] || testbed/kube/ensure >/dev/null || echo "SKIPPED: stories on Kubernetes: no API server" >&2

## Builds a current Kubernetes API server beside that one, once (half an hour); with it, stories are played on both.
kube-current: setup
	testbed/kube/ensure current

fmt-check:
	$(CARGO) fmt --all -- --check

clippy:
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

docs:
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked

## Licences, sources and bans of what we depend on.
deny:
	@if $(CARGO) deny --version >/dev/null 2>&1; then \
		$(CARGO) deny --locked check bans licenses sources; \
	else \
		echo "SKIPPED: deny: cargo-deny is not installed (run: cargo install --locked cargo-deny)" >&2; \
	fi

## Known security holes of what we depend on. Needs cargo-deny and the network, so check doesn't include it.
advisories:
	$(CARGO) deny --locked check advisories

# The document in the repository is the one that the code makes.
openapi:
	$(CARGO) run --quiet --locked -p api --example openapi | diff -u openapi.json - \
		|| { echo "openapi.json is stale (run: cargo run -p api --example openapi > openapi.json)" >&2; exit 1; }

# Where images are made for, and by which program.
REGISTRY ?= isolane
CONTAINER ?= podman
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)

## The images of deploy/.
images:
	for image in controller bridge switch; do \
		$(CONTAINER) build -f deploy/images/Containerfile --target $$image -t $(REGISTRY)/$$image:$(VERSION) . || exit 1; \
	done
