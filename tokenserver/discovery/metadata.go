package discovery

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/tokenserver/httpx"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// NameMetadata labels the endpoint in metrics and logs.
const NameMetadata = "metadata"

// Where clients of OAuth (RFC 8414, section 3), of OpenID (Discovery 1.0, section 4) and of UMA (2.0, Grant, section 2) look. The
// document is one.
const (
	PathOAuth  = "/.well-known/oauth-authorization-server"
	PathOpenID = "/.well-known/openid-configuration"
	PathUMA    = "/.well-known/uma2-configuration"
)

// Document is the metadata of RFC 8414, section 2, with what OpenID's verifiers ask for. Nothing is named in it that is not
// served: there is no authorization endpoint, and so there are no response types.
type Document struct {
	Issuer                string `json:"issuer"`
	JWKS                  string `json:"jwks_uri"`
	TokenEndpoint         string `json:"token_endpoint"`
	IntrospectionEndpoint string `json:"introspection_endpoint"`
	// RevocationEndpoint is empty where nothing can be stored.
	RevocationEndpoint string `json:"revocation_endpoint,omitempty"`
	// StatusLists is where all status lists are named; empty where there are none.
	StatusLists string `json:"status_list_aggregation_endpoint,omitempty"`
	// PermissionEndpoint and RegistrationEndpoint are those of the protection API (UMA 2.0, Federated Authorization, section 2).
	PermissionEndpoint   string `json:"permission_endpoint,omitempty"`
	RegistrationEndpoint string `json:"resource_registration_endpoint,omitempty"`
	// Scopes are those that are words.
	Scopes                   []string `json:"scopes_supported,omitempty"`
	GrantTypes               []string `json:"grant_types_supported"`
	ResponseTypes            []string `json:"response_types_supported"`
	SubjectTypes             []string `json:"subject_types_supported"`
	SigningAlgorithms        []string `json:"id_token_signing_alg_values_supported"`
	TokenAuthMethods         []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionAuthMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationAuthMethods    []string `json:"revocation_endpoint_auth_methods_supported,omitempty"`
}

// Metadata answers with the document. All fields but Fence are required.
type Metadata struct {
	Snapshots *snapshot.Holder
	// Known is the document without the algorithms, which are those of the keys.
	Known Document
	// MaxAge is how long the document may be kept: as long as the keys.
	MaxAge time.Duration
	Fence  *snapshot.Fence
}

// Handle has the form of httpx.Endpoint's.
func (m *Metadata) Handle(w http.ResponseWriter, _ *http.Request, x *httpx.Exchange) error {
	from := m.Snapshots.Load()
	document := m.Known
	document.ResponseTypes, document.SubjectTypes = []string{}, []string{"public"}
	document.SigningAlgorithms = algorithms(from)
	header := w.Header()
	header.Set("Cache-Control", fmt.Sprintf("public, max-age=%d, must-revalidate", int64(m.MaxAge/time.Second)))
	if m.Fence.Check(x.Start) != nil {
		header.Set("Cache-Control", "no-store")
	}
	header.Set("Access-Control-Allow-Origin", "*")
	httpx.WriteJSON(w, http.StatusOK, document)
	return nil
}

// algorithms are those of the public keys, sorted.
func algorithms(from *snapshot.Snapshot) []string {
	found := map[string]struct{}{}
	for _, keys := range from.Verification {
		for _, key := range keys {
			found[string(key.Algorithm)] = struct{}{}
		}
	}
	names := slices.AppendSeq([]string{}, maps.Keys(found))
	slices.Sort(names)
	return names
}

// Base is the URL below which clients find the endpoints, by the issuer's name; false if that is not a URL, and there is nothing
// that metadata could be found by. The prefix is added unless the issuer ends with it: a server behind a path is reached by it.
func Base(issuer, prefix string) (string, bool) {
	u, err := url.Parse(issuer)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(issuer, "?#") {
		return "", false
	}
	base := strings.TrimSuffix(issuer, "/")
	if prefix != "" && !strings.HasSuffix(strings.TrimSuffix(u.EscapedPath(), "/"), prefix) {
		base += prefix
	}
	return base, true
}

// Paths are where the documents are, without what a prefix adds before them: OpenID puts the issuer's path there, and RFC 8414
// behind.
func Paths(issuer, prefix string, documents ...string) []string {
	behind := []string{"", prefix}
	if u, err := url.Parse(issuer); err == nil {
		at := strings.TrimSuffix(u.Path, "/")
		if at != "" && path.Clean(at) == at && (&url.URL{Path: at}).EscapedPath() == at {
			behind = append(behind, at)
		}
	}
	slices.Sort(behind)
	var paths []string
	for _, suffix := range slices.Compact(behind) {
		for _, document := range documents {
			paths = append(paths, document+suffix)
		}
	}
	return paths
}
