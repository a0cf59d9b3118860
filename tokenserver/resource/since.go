package resource

import (
	"slices"
	"strings"
	"time"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// Claim is a uri of a resource, and since when it claims it. The age of the object does not say that: a uri can be added later,
// and an old object would take it from whoever has it.
type Claim struct {
	URI   string
	Since time.Time
}

// Kept are the entries of status.uris that still are of uris of the spec, by uri: what is dropped and claimed again later is new.
func Kept(object *v1alpha1.ProtectedResource) []v1alpha1.ClaimedURI {
	var kept []v1alpha1.ClaimedURI
	for _, u := range object.Spec.URIs {
		if since := sinceOf(object, u); since != "" {
			kept = append(kept, v1alpha1.ClaimedURI{URI: string(u), Since: since})
		}
	}
	return sorted(kept)
}

// Claimed is what status.uris has to be once the resource is seen to be served: what was written stays, and what was not is
// claimed as of now.
func Claimed(object *v1alpha1.ProtectedResource, now time.Time) []v1alpha1.ClaimedURI {
	claimed := Kept(object)
	for _, u := range object.Spec.URIs {
		if sinceOf(object, u) == "" {
			claimed = append(claimed, v1alpha1.ClaimedURI{URI: string(u), Since: v1alpha1.NewDateTime(now)})
		}
	}
	return sorted(claimed)
}

func sorted(claimed []v1alpha1.ClaimedURI) []v1alpha1.ClaimedURI {
	slices.SortFunc(claimed, func(a, b v1alpha1.ClaimedURI) int { return strings.Compare(a.URI, b.URI) })
	return claimed
}

// sinceOf is what status.uris says of a uri; nothing if that is no time: the schema takes a 30th of February.
func sinceOf(object *v1alpha1.ProtectedResource, uri v1alpha1.ResourceURI) v1alpha1.DateTime {
	for i := range object.Status.URIs {
		if c := &object.Status.URIs[i]; c.URI == string(uri) {
			if _, err := c.Since.Parse(); err != nil {
				return ""
			}
			return c.Since
		}
	}
	return ""
}

// Claims reads entries of status.uris.
func Claims(entries []v1alpha1.ClaimedURI) []Claim {
	var claims []Claim
	for i := range entries {
		if since, err := entries[i].Since.Parse(); err == nil {
			claims = append(claims, Claim{URI: entries[i].URI, Since: since})
		}
	}
	return claims
}
