package imports

import (
	"slices"
	"strings"
)

// module is the path of the project's module.
const module = "github.com/tokenwright/tokenwright"

// layer is a group of packages that may import the same things.
type layer struct {
	name string
	// packages are folders below the module, or folders with everything below them when they end with "/...".
	packages []string
	// mayImport names the layers that the packages may import, beside what is not of this module.
	mayImport []string
	// pure packages have no world: see impurities.
	pure bool
	// standard packages import nothing beyond the standard library and foreign.
	foreign []string
}

// everything may be imported by commands and tests.
var everything = []string{
	"api", "crds", "manifest", "applyconfiguration", "pure", "openid", "audit and metrics", "httpx", "attempt", "snapshot", "review", "below a grant", "offline", "grant",
	"endpoints", "enforcer", "server", "controllers",
}

// layers is the architecture, from the bottom up. A package that is in no layer is a mistake: it has to be put somewhere.
var layers = []layer{
	{name: "api", packages: []string{"api/v1alpha1"}, foreign: []string{"k8s.io/apimachinery"}},
	// Generated; whoever uses it has client-go anyway.
	{name: "applyconfiguration", packages: []string{"api/v1alpha1/applyconfiguration/..."}, mayImport: []string{"api", "applyconfiguration"}},
	{name: "pure", pure: true, mayImport: []string{"api", "pure"}, packages: []string{
		"tokenserver/caller", "tokenserver/scope", "tokenserver/policy/...", "tokenserver/keyring", "tokenserver/token",
		"tokenserver/provider", "tokenserver/revocation", "tokenserver/slot", "tokenserver/quote", "tokenserver/opaque",
		"tokenserver/statuslist", "tokenserver/resource", "tokenserver/permission",
	}},
	// The CRDs as files, for what checks objects without an API server.
	{name: "crds", packages: []string{"config/crd"}, foreign: []string{}},
	{
		name: "manifest", packages: []string{"tokenserver/manifest"}, mayImport: []string{"api", "pure", "crds"},
		// The libraries that an API server and kubectl read objects with, and no client.
		foreign: []string{
			"k8s.io/api", "k8s.io/apiextensions-apiserver", "k8s.io/apimachinery", "k8s.io/apiserver/pkg/apis/cel",
			"sigs.k8s.io/json", "sigs.k8s.io/yaml", "go.yaml.in/yaml/v3",
		},
	},
	{name: "audit and metrics", packages: []string{"tokenserver/audit", "tokenserver/metrics"}, mayImport: []string{"api", "pure"}},
	// External issuers: an API server's own validation and authenticator, and HTTP. The manager looks whether they answer.
	{
		name: "openid", packages: []string{"tokenserver/openid"}, mayImport: []string{"api"},
		foreign: []string{"github.com/go-jose/go-jose/v4", "k8s.io/apimachinery", "k8s.io/apiserver"},
	},
	{name: "httpx", packages: []string{"tokenserver/httpx"}},
	{name: "attempt", packages: []string{"tokenserver/attempt"}, mayImport: []string{"api"}},
	{name: "snapshot", packages: []string{"tokenserver/snapshot"}, mayImport: []string{"api", "pure"}},
	{name: "review", packages: []string{"tokenserver/review"}, mayImport: []string{"api", "pure", "snapshot", "manifest"}, foreign: []string{"k8s.io/apimachinery", "sigs.k8s.io/json"}},
	{
		name:      "below a grant",
		packages:  []string{"tokenserver/observe", "tokenserver/identity", "tokenserver/issue", "tokenserver/lease", "tokenserver/record", "tokenserver/registration"},
		mayImport: []string{"api", "pure", "audit and metrics", "snapshot", "openid", "attempt"},
	},
	// What a server without a cluster observes instead of one, and the keys that no manager makes.
	{
		name: "offline", packages: []string{"tokenserver/offline/..."},
		mayImport: []string{"api", "manifest", "pure", "snapshot", "offline", "openid"},
	},
	{
		name:      "grant",
		packages:  []string{"tokenserver/grant"},
		mayImport: []string{"api", "pure", "audit and metrics", "snapshot", "below a grant"},
	},
	{
		name: "endpoints",
		packages: []string{
			"tokenserver/docker", "tokenserver/discovery", "tokenserver/oauth", "tokenserver/ident", "tokenserver/uma",
		},
		mayImport: []string{"api", "pure", "audit and metrics", "httpx", "attempt", "snapshot", "below a grant", "grant"},
	},
	// Resource servers import it into their own programs, which need not have all that a server needs.
	{name: "enforcer", packages: []string{"tokenserver/uma/enforce"}, foreign: []string{"github.com/go-jose/go-jose/v4"}},
	{
		name:      "server",
		packages:  []string{"tokenserver"},
		mayImport: []string{"api", "pure", "audit and metrics", "httpx", "snapshot", "below a grant", "offline", "grant", "endpoints"},
	},
	{name: "controllers", packages: []string{"controllers/..."}, mayImport: []string{"api", "applyconfiguration", "pure", "openid", "controllers"}},
	{name: "cmd", packages: []string{"cmd"}, mayImport: everything},
	{name: "main", packages: []string{""}, mayImport: []string{"cmd"}},
	// Tools and tests may import all, and nobody may import them.
	{name: "tools", packages: []string{"hack/...", "test/..."}, mayImport: append(slices.Clone(everything), "cmd", "tools")},
}

// layerOf returns the layer of a folder below the module.
func layerOf(folder string) (layer, bool) {
	for _, l := range layers {
		for _, p := range l.packages {
			tree, whole := strings.CutSuffix(p, "/...")
			if folder == p || whole && (folder == tree || strings.HasPrefix(folder, tree+"/")) {
				return l, true
			}
		}
	}
	return layer{}, false
}

// world is what pure packages must not import: whatever reaches out of the process or knows the cluster's own types.
var world = []string{"k8s.io/client-go", "sigs.k8s.io/controller-runtime", "k8s.io/api", "net/http", "net/http/httptest", "os", "os/exec"}

// within says whether an import path is one of the prefixes or below one.
func within(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return path == p || strings.HasPrefix(path, p+"/") })
}
