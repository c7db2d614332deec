SHELL := bash
.SHELLFLAGS := -euo pipefail -c

VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT   ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS  := -X main.version=$(VERSION) -X main.commit=$(COMMIT)
FUZZTIME ?= 10s
# COUNT runs of each benchmark: benchstat wants ten.
COUNT    ?= 1
# PLOT is where the curve of cost against subscribers goes.
PLOT     ?= .cache/performance.svg
# SOAK is how long things go wrong, as SEED says.
SOAK     ?= 1h
SEED     ?= 1
# RACE=1 is what CI runs: race detector, random order, nothing from the cache.
GOTEST   := go test $(if $(RACE),-race -shuffle=on -count=1)

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOLANGCI    := v2.15.0
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
LINT        := .cache/bin/golangci-lint-$(GOLANGCI)

# What npm ci leaves behind; older than package-lock.json, it must run again.
MODULES := /node_modules/.package-lock.json
JS      := test/clients test/e2e examples/jobs/web

.PHONY: help demo build docs test bench soak check vuln fuzz clean bin/broadcastd bin/jobs

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' Makefile

demo: build examples/jobs/web$(MODULES) ## the job marketplace with Redis and a web page
	@scripts/need.sh redis-server
	examples/jobs/demo.sh

build: bin/broadcastd bin/jobs ## bin/broadcastd and bin/jobs

bin/broadcastd: # static: the image holds nothing else
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o $@ ./cmd/broadcastd

bin/jobs:
	CGO_ENABLED=0 go build -trimpath -o $@ ./examples/jobs

test: build $(JS:%=%$(MODULES)) ## all tests: Go, browser, clients in Node with one node and with three (RACE=1: race detector)
	@scripts/need.sh redis-server chromium nginx caddy haproxy openssl php-cli php-redis prometheus systemd
	$(GOTEST) ./...
	cd test/deploy/schema && go test -count=1 ./... # its files are outside of what the cache looks at
	scripts/image-smoke.sh
	cd test/e2e && node --test --test-timeout=600000
	cd test/clients && for nodes in 1 3; do \
		BROADCASTD_BIN=$(CURDIR)/bin/broadcastd BROADCASTD_NODES=$$nodes node --test --test-timeout=600000; \
	done

docs: ## man pages and shell completions, in bin/docs
	go run -trimpath -tags docs -ldflags "$(LDFLAGS)" ./cmd/broadcastd docs bin/docs

bench: ## benchmarks (COUNT=10 for benchstat), then all load scenarios, a table and a plot
	go test -run='^$$' -bench=. -benchmem -count=$(COUNT) ./...
	mkdir -p $(dir $(PLOT))
	go run ./bench --plot $(PLOT)

soak: ## mixed load while things go wrong (SOAK=1h, SEED=1), and what is lost, leaked or miscounted
	@scripts/need.sh redis-server
	go run ./test/soak --for $(SOAK) --seed $(SEED)

check: $(LINT) ## format, go.mod, vet, staticcheck, golangci-lint, no paths of one machine
	gofmt -d $$(git ls-files -co --exclude-standard '*.go')
	for module in . test/deploy/schema; do (cd $$module && go mod tidy -diff && go vet ./...); done
	go run $(STATICCHECK) ./...
	$(LINT) run
	scripts/check-portable.sh

vuln: ## known weaknesses in Go and in dependencies; asks vuln.go.dev, so not a part of check
	go run $(GOVULNCHECK) ./...

fuzz: ## every fuzz target in turn, FUZZTIME=10s each
	scripts/fuzz.sh $(FUZZTIME)

clean: ## everything that was built or installed here
	rm -rf bin .cache test-results $(JS:%=%/node_modules)

$(LINT):
	GOBIN=$(CURDIR)/.cache/bin CGO_ENABLED=0 go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI)
	mv .cache/bin/golangci-lint $@

%$(MODULES): %/package-lock.json
	cd $* && npm ci
	touch $@
