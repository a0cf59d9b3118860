# What developers and CI run. `make help` lists the targets. Everything that is built lands in bin/ and is rebuilt only
# when its pinned versions change; the Go toolchain, make and git are all that is needed (the race detector wants gcc).

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
IMAGE ?= ghcr.io/tokenwright/tokenwright:$(VERSION)
FUZZTIME ?= 20s
# How many packages are tested at once: one more than there are processors, because many wait for API servers and clocks.
TEST_PACKAGES ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# Tests that go through all states of code in which nothing runs beside anything else. The race detector would find nothing
# there, and makes them several times as slow: they run without it.
WALKS := TestModelWalk|TestWalkThrough
E2E_TIME ?= 5m

KUBE_VERSION := $(shell sed -n 's|^\tk8s.io/kubernetes ||p' hack/kube/go.mod)
KUBE_MAJOR_MINOR := $(subst ., ,$(patsubst v%,%,$(KUBE_VERSION)))
KUBE_STAMP := k8s.io/component-base/version
KUBE_LDFLAGS := -s -w -X $(KUBE_STAMP).gitVersion=$(KUBE_VERSION) \
	-X $(KUBE_STAMP).gitMajor=$(word 1,$(KUBE_MAJOR_MINOR)) -X $(KUBE_STAMP).gitMinor=$(word 2,$(KUBE_MAJOR_MINOR))

CONTROL_PLANE := bin/k8s/kube-apiserver
REGISTRY := bin/registry/registry
REGISTRY2 := bin/registry2/docker-registry
CLIENTS := bin/clients/containerd
# The machine's own, or Debian's, fetched.
SKOPEO_FETCHED := $(if $(SKOPEO)$(shell command -v skopeo 2>/dev/null),,bin/clients/skopeo)
TOOLS := bin/tools

##@ General

.PHONY: help
help: ## Show this help.
	@awk 'BEGIN {FS = ":.*##"; printf "Usage: make \033[36m<target>\033[0m\n"} \
		/^[a-zA-Z_-]+:.*?##/ { printf "  \033[36m%-16s\033[0m %s\n", $$1, $$2 } \
		/^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) }' $(MAKEFILE_LIST)

##@ Use

.PHONY: demo
demo: build control-plane registry $(TOOLS)/helm ## Show the main job on a real API server, registry and client (KEEP=1: leave it running).
	@go build -o bin/demo ./hack/demo
	@bin/demo $(if $(KEEP),--keep)

.PHONY: build
build: ## Build bin/tokenwright, and bin/kubectl-tokenwright: the same as a plugin of kubectl.
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X github.com/tokenwright/tokenwright/cmd.version=$(VERSION)' -o bin/tokenwright .
	@ln -sf tokenwright bin/kubectl-tokenwright

.PHONY: image
image: ## Build the container image (needs a container engine).
	docker build --build-arg VERSION=$(VERSION) -t $(IMAGE) .

##@ Check

.PHONY: test
test: control-plane test-tools registry ## Run the unit tests and those on a real API server and registry, with the race detector.
	@go test -race -p $(TEST_PACKAGES) -timeout 25m -skip '^($(WALKS))' ./...
	@go test -timeout 25m -run '^($(WALKS)|TestEveryFault|TestEveryPair|TestTheOracle)' ./controllers ./tokenserver/keyring

.PHONY: test-unit
test-unit: ## Run the tests of the pure packages only: seconds, no API server.
	@go test ./tokenserver/caller/... ./tokenserver/scope/... ./tokenserver/policy/... ./tokenserver/keyring/... \
		./tokenserver/token/... ./tokenserver/provider/... ./tokenserver/revocation/... ./tokenserver/slot/... \
		./tokenserver/resource/... ./tokenserver/permission/...

.PHONY: lint
lint: $(TOOLS)/golangci-lint $(TOOLS)/golangci-lint-kube-api-linter ## Run the linters.
	@$(TOOLS)/golangci-lint run ./...
	@$(TOOLS)/golangci-lint-kube-api-linter run --config .golangci-kal.yml ./api/...

.PHONY: verify
verify: $(TOOLS)/controller-gen control-plane ## Check that generated files are current, modules are tidy and imports keep their direction.
	@hack/verify.sh
	@go mod tidy -diff
	@go test ./test/imports/...

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME.
	@hack/fuzz.sh $(FUZZTIME)

.PHONY: e2e-keys
e2e-keys: build control-plane registry registry2 $(TOOLS)/helm ## Rotate and revoke keys under load, with real registries and verifiers, for E2E_TIME.
	@E2E_TIME=$(E2E_TIME) go test -tags e2e -count=1 -v -timeout 1h -run TestKeys ./test/e2e

.PHONY: e2e-clients
e2e-clients: build control-plane registry clients $(TOOLS)/helm ## Let stock clients work with passwords and refresh tokens, and take these away (as root).
	@go test -tags e2e -count=1 -v -timeout 10m ./test/clients

.PHONY: bench
bench: build control-plane $(TOOLS)/helm ## Measure what docs/performance.md tells, as ratios to a limit of the same run (BENCH: flags, see -h).
	@go build -o bin/bench ./hack/bench
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/bench-limit ./hack/bench/limit
	@bin/bench $(BENCH)

##@ Develop

.PHONY: generate
generate: $(TOOLS)/controller-gen ## Regenerate deep copies, apply configurations, CRDs, RBAC and their copies in the chart.
	@hack/generate.sh

.PHONY: fmt
fmt: ## Format the Go code.
	@gofmt -w $$(git ls-files '*.go')

.PHONY: clean
clean: ## Remove what was built.
	@rm -rf bin

##@ Tools

.PHONY: control-plane
control-plane: $(CONTROL_PLANE) ## Build etcd, kube-apiserver and kubectl from source (about 4 minutes the first time).

$(CONTROL_PLANE): hack/kube/go.mod hack/kube/go.sum
ifndef KUBEBUILDER_ASSETS
	@echo "Building the control plane $(KUBE_VERSION), once"
	@mkdir -p bin/k8s
	@cd hack/kube && go build -trimpath -ldflags '$(KUBE_LDFLAGS)' -o ../../bin/k8s/ \
		k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kubectl go.etcd.io/etcd/server/v3
	@mv bin/k8s/server bin/k8s/etcd
	@touch $@
endif

.PHONY: registry
registry: $(REGISTRY) ## Build the registry and the client of the demo from source.

$(REGISTRY): hack/registry/go.mod hack/registry/go.sum
	@echo "Building distribution's registry and crane, once"
	@mkdir -p bin/registry
	@cd hack/registry && go build -trimpath -ldflags '-s -w' -o ../../bin/registry/ \
		github.com/distribution/distribution/v3/cmd/registry github.com/google/go-containerregistry/cmd/crane
	@touch $@

.PHONY: registry2
registry2: $(if $(DOCKER_REGISTRY),,$(REGISTRY2)) ## Fetch distribution 2.8 from Debian (DOCKER_REGISTRY: a file to use instead).

$(REGISTRY2): hack/registry2.sh hack/debian.sh
	@echo "Fetching Debian's docker-registry, once"
	@hack/registry2.sh $(@D)
	@touch $@

.PHONY: clients
clients: $(CLIENTS) $(SKOPEO_FETCHED) ## Build containerd, ctr and regctl, and fetch skopeo from Debian if there is none (SKOPEO: a file to use instead).

$(CLIENTS): hack/clients/go.mod hack/clients/go.sum
	@echo "Building containerd, ctr and regctl, once"
	@mkdir -p $(@D)
	@cd hack/clients && go build -tags no_btrfs -trimpath -ldflags '-s -w' -o ../../$(@D)/ \
		github.com/containerd/containerd/v2/cmd/containerd github.com/containerd/containerd/v2/cmd/ctr \
		github.com/regclient/regclient/cmd/regctl
	@touch $@

bin/clients/skopeo: hack/skopeo.sh hack/debian.sh
	@echo "Fetching Debian's skopeo, once"
	@hack/skopeo.sh $(@D)
	@touch $@

.PHONY: test-tools
test-tools: $(TOOLS)/helm $(TOOLS)/controller-gen $(TOOLS)/promtool

TOOL_controller-gen := sigs.k8s.io/controller-tools/cmd/controller-gen
TOOL_golangci-lint := github.com/golangci/golangci-lint/v2/cmd/golangci-lint
TOOL_golangci-lint-kube-api-linter := sigs.k8s.io/kube-api-linter/cmd/golangci-lint-kube-api-linter
TOOL_helm := helm.sh/helm/v3/cmd/helm

$(TOOLS)/%: hack/tools/go.mod hack/tools/go.sum
	@echo "Building $*, once"
	@mkdir -p $(TOOLS)
	@go build -modfile=hack/tools/go.mod -trimpath -ldflags '-s -w' -o $@ $(TOOL_$*)
	@touch $@

# A module of its own: its dependencies are not those of the other tools. Rules need no service discovery.
$(TOOLS)/promtool: hack/prometheus/go.mod hack/prometheus/go.sum
	@echo "Building promtool, once"
	@mkdir -p $(TOOLS)
	@go build -modfile=hack/prometheus/go.mod -tags remove_all_sd -trimpath -ldflags '-s -w' -o $@ \
		github.com/prometheus/prometheus/cmd/promtool
	@touch $@
