# Targets for people; "make help" lists them. A fresh Debian machine with make,
# Go 1.26 and Node 20 or later is enough: what a target needs beyond that, it
# installs into folders that git ignores.

SHELL := /bin/sh
.DEFAULT_GOAL := help

GO ?= go
NPM ?= npm
PYTHON ?= python3

# The same source gives the same bytes wherever the checkout lies and whoever
# owns it.
export GOFLAGS := $(GOFLAGS) -buildvcs=false

# The race detector needs a C compiler; the product does not.
RACE := $(if $(shell command -v $${CC:-gcc} 2>/dev/null),-race)

# A program under the race detector waits a second when it ends. The tests start
# hundreds.
export GORACE := atexit_sleep_ms=0

# Confined processes of these tests are this program too, and what the race detector
# keeps about memory does not fit into the address space that they may have.
CONFINED := gatehouse/test/sandbox

BIN := $(CURDIR)/test/.tools/bin
NODE_MODULES := test/node/node_modules
NODE_STAMP := $(NODE_MODULES)/.package-lock.json
TOOLS_STAMP := test/.tools/tools.stamp
SERVERS_STAMP := test/.tools/servers.stamp
SERVER_SOURCES := $(wildcard test/servers/go.* test/servers/*/*.go test/servers/internal/*/*.go)
CLIENT_STAMP := test/.tools/client.stamp
CLIENT_SOURCES := $(wildcard test/matrix/clients/go/*)
VENV := test/.tools/python

WIDE := test/.tools/wide
WIDE_STAMP := test/.tools/wide.stamp

CLIENTS := test/.tools/clients
CLIENTS_STAMP := test/.tools/clients.stamp

# Labelled texts that lie beside the checkout; "make eval" measures on them.
CORPORA ?= ../shared/corpora/dev
PYTHON_STAMP := test/.tools/python.stamp
BROWSER_STAMP := test/.tools/browser.stamp
ENGINES_STAMP := test/.tools/engines.stamp
POSTGRES_STAMP := test/.tools/postgres.stamp
HOLED_MODULES := test/node/holed/node_modules
HOLED_STAMP := $(HOLED_MODULES)/.package-lock.json

# Every file in the checkout that is source, whether git knows it already or not.
FIND_SOURCE := find . \( -name .git -o -name node_modules -o -path ./test/.tools -o -path ./bin -o -path ./workspace \) -prune -o -type f

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/gatehouse, one static binary
	@CGO_ENABLED=0 $(GO) build -trimpath -o bin/gatehouse ./cmd/gatehouse

.PHONY: run
run: build $(NODE_STAMP) workspace/welcome.txt ## start the gateway in front of two real servers
	@exec bin/gatehouse serve --config examples/quickstart.yaml

.PHONY: demo
demo: build ## show four attacks, first without and then with Gatehouse
	@exec bin/gatehouse demo

.PHONY: test
test: tools build ## run every test, conformance included
	@$(if $(RACE),,echo "no C compiler: the race detector is off")
	cd test/servers && $(GO) test $(RACE) -shuffle=on ./...
	GATEHOUSE_TOOLS=required $(GO) test $(RACE) -shuffle=on -timeout 12m $$($(GO) list ./... | grep -vxF $(CONFINED))
	GATEHOUSE_TOOLS=required $(GO) test -shuffle=on $(CONFINED)

.PHONY: conformance
conformance: tools ## run the official MCP suite directly and through the gateway
	GATEHOUSE_TOOLS=required $(GO) test -count=1 -v -run TestConformance ./test/conformance -update

.PHONY: matrix
matrix: tools ## run real clients against real servers and write docs/COMPATIBILITY.md
	GATEHOUSE_TOOLS=required $(GO) test -count=1 -v ./test/matrix -update

.PHONY: test-wide
test-wide: tools $(WIDE_STAMP) ## list, call and scan the servers of others, and write docs/NOISE.md and docs/scan-noise.md
	GATEHOUSE_WIDE=required $(GO) test -count=1 -v -timeout 20m ./test/wide -update
	GATEHOUSE_TOOLS=required $(GO) test -count=1 -v ./test/scan -update

.PHONY: test-clients
test-clients: tools $(CLIENTS_STAMP) ## let published clients start protected servers
	GATEHOUSE_CLIENTS=required GATEHOUSE_TOOLS=required $(GO) test -count=1 -v -run Test_published_clients ./test/protect

.PHONY: bench
bench: tools build ## measure the gateway beside a direct connection and a bare proxy
	$(GO) run ./test/bench

.PHONY: eval
eval: build ## measure the rules on their own examples and, where it is, on $(CORPORA)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
		$(GO) run ./tools/examples > "$$folder/examples.jsonl" && \
		bin/gatehouse rules eval --corpus "$$folder/examples.jsonl" --min-recall 1 --max-false-positive-rate 0
	@if [ -d $(CORPORA) ]; then echo && bin/gatehouse rules eval --corpus $(CORPORA); fi

.PHONY: train
train: ## train the learned classifier's first tier on $(CORPORA) and tools/train/data
	PYTHON=$(PYTHON) tools/train/train.sh $(CORPORA)

.PHONY: chaos
chaos: tools ## kill a thousand servers under load, and open and end a thousand sessions
	GATEHOUSE_TOOLS=required $(GO) test -count=1 -v -timeout 30m -run TestChaos ./test/integration -chaos 1000
	$(GO) test -count=1 -v -timeout 30m -run TestSoak ./internal/gateway -cycles 1000

.PHONY: soak
soak: tools build ## count what quotas let through, then let 64 sessions call for ten minutes
	$(GO) run ./test/bench -quotas 1m
	$(GO) run ./test/bench -soak 10m

.PHONY: lint
lint: $(TOOLS_STAMP) ## check format, vet, staticcheck, modules and generated files
	@echo gofmt
	@unformatted=$$($(FIND_SOURCE) -name '*.go' -print0 | xargs -0 gofmt -l); \
		if [ -n "$$unformatted" ]; then echo "gofmt -w these files:" $$unformatted; exit 1; fi
	$(GO) vet ./...
	cd test/servers && $(GO) vet ./...
	cd test/matrix/clients/go && $(GO) vet ./...
	$(BIN)/staticcheck ./...
	cd test/servers && $(BIN)/staticcheck ./...
	cd test/matrix/clients/go && $(BIN)/staticcheck ./...
	$(GO) mod tidy -diff
	cd test/servers && $(GO) mod tidy -diff
	cd test/matrix/clients/go && $(GO) mod tidy -diff
	cd test/tools && $(GO) mod tidy -diff
	@echo generated files
	@before=$$(mktemp) && after=$$(mktemp) && trap 'rm -f "$$before" "$$after"' EXIT && \
		$(FIND_SOURCE) -print0 | sort -z | xargs -0 sha256sum > "$$before" && \
		$(GO) generate ./... && \
		$(FIND_SOURCE) -print0 | sort -z | xargs -0 sha256sum > "$$after" && \
		if ! diff "$$before" "$$after"; then echo "generated files were not fresh; they are now"; exit 1; fi

.PHONY: generate
generate: ## write the generated files anew
	$(GO) generate ./...

.PHONY: tools
tools: $(NODE_STAMP) $(TOOLS_STAMP) $(SERVERS_STAMP) $(CLIENT_STAMP) $(PYTHON_STAMP) $(BROWSER_STAMP) $(POSTGRES_STAMP) $(HOLED_STAMP) $(ENGINES_STAMP) ## install what the tests run beside the product

# npm writes the stamp itself when the installation is complete. No package runs
# a script of its own.
$(NODE_STAMP): test/node/package.json test/node/package-lock.json
	cd test/node && $(NPM) ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

# Versions with known holes, which the tests attack.
$(HOLED_STAMP): test/node/holed/package.json test/node/holed/package-lock.json
	cd test/node/holed && $(NPM) ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

$(TOOLS_STAMP): test/tools/go.mod test/tools/go.sum
	@mkdir -p $(BIN)
	cd test/tools && GOBIN=$(BIN) $(GO) install tool
	@touch $@

$(SERVERS_STAMP): $(SERVER_SOURCES)
	@mkdir -p $(BIN)
	cd test/servers && GOBIN=$(BIN) $(GO) install ./...
	@touch $@

$(CLIENT_STAMP): $(CLIENT_SOURCES)
	@mkdir -p $(BIN)
	cd test/matrix/clients/go && GOBIN=$(BIN) $(GO) install .
	@touch $@

# Debian has what makes virtual environments in a package of its own. Every
# package has a digest, and nothing is built from source.
$(PYTHON_STAMP): test/python/requirements.txt
	@mkdir -p test/.tools
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get install -y -q python3-venv || { apt-get update -q && apt-get install -y -q python3-venv; }; \
		else \
			echo "The tests need Python 3.11 or later with venv; on Debian: apt-get install python3-venv" >&2; exit 1; \
		fi
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: --require-hashes -r test/python/requirements.txt
	@touch $@

# The browser in which the tests sign in.
$(BROWSER_STAMP):
	@mkdir -p test/.tools
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			apt-get install -y -q chromium || { apt-get update -q && apt-get install -y -q chromium; }; \
		else \
			echo "The tests need Chromium; on Debian: apt-get install chromium" >&2; exit 1; \
		fi
	@touch $@

# What the tests run containers with. They start a Docker of their own; nothing has
# to run already. It is some 90 MB.
$(ENGINES_STAMP):
	@mkdir -p test/.tools
	@{ command -v podman && command -v docker && command -v dockerd && command -v runc; } >/dev/null || \
		if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
			install="apt-get install -y -q --no-install-recommends podman docker.io runc iptables"; \
			$$install || { apt-get update -q && $$install; }; \
		else \
			echo "The tests need Podman and Docker; on Debian: apt-get install podman docker.io runc" >&2; exit 1; \
		fi
	@touch $@

# The database behind a server that the tests start in a sandbox.
$(POSTGRES_STAMP): test/tools/postgres.sh
	@mkdir -p test/.tools
	@test/tools/postgres.sh install
	@touch $@

# A gigabyte, which only "make test-wide" needs.
$(WIDE_STAMP): test/wide/package.json test/wide/package-lock.json test/wide/requirements.txt $(PYTHON_STAMP)
	@mkdir -p $(WIDE)
	cp test/wide/package.json test/wide/package-lock.json $(WIDE)
	cd $(WIDE) && $(NPM) ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	rm -rf $(WIDE)/python
	$(PYTHON) -m venv $(WIDE)/python
	$(WIDE)/python/bin/python -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: --require-hashes -r test/wide/requirements.txt
	@touch $@

# Almost a gigabyte, which only "make test-clients" needs.
$(CLIENTS_STAMP): test/clients/package.json test/clients/package-lock.json
	@mkdir -p $(CLIENTS)
	cp test/clients/package.json test/clients/package-lock.json $(CLIENTS)
	cd $(CLIENTS) && $(NPM) ci --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error
	@touch $@

workspace/welcome.txt: examples/welcome.txt
	@mkdir -p workspace
	@cp $< $@

.PHONY: clean
clean: ## remove what was built and installed
	rm -rf bin test/.tools $(NODE_MODULES) $(HOLED_MODULES)
