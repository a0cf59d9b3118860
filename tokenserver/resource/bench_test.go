package resource

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// manyResources are resources of one audience with two uris each. A few are patterns: as many as 100 namespaces may have.
func manyResources(n int) []*Resource {
	resources := make([]*Resource, n)
	for i := range resources {
		resources[i] = served(fmt.Sprint("team-", i%100), fmt.Sprint("album-", i), i%1000, func(r *Resource) {
			r.Type, r.Scopes = "album", []string{"delete", "share", "view"}
			r.URIs = []string{fmt.Sprintf("/albums/%d", i), fmt.Sprintf("/albums/%d/photos", i)}
			if i < 20_000 {
				r.URIs[1] += "/{photo}/*"
			}
		})
	}
	return resources
}

var sizes = []int{10_000, 100_000}

func BenchmarkWith(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			resources := manyResources(n)
			b.ReportAllocs()
			for b.Loop() {
				if catalogOf(resources...).Len() != n {
					b.Fatal("some are missing")
				}
			}
		})
	}
}

func BenchmarkFind(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := catalogOf(manyResources(n)...)
			b.ReportAllocs()
			for b.Loop() {
				if c.Find(photos, "team-7/album-4207") == nil || c.Find(photos, "album-4208") == nil {
					b.Fatal("not found")
				}
			}
		})
	}
}

func BenchmarkMatching(b *testing.B) {
	for _, n := range sizes {
		for name, path := range map[string]string{"equal": "/albums/4207", "pattern": "/albums/4207/photos/1/large/raw", "none": "/films/1"} {
			b.Run(fmt.Sprint(n, "/", name), func(b *testing.B) {
				c := catalogOf(manyResources(n)...)
				b.ReportAllocs()
				for b.Loop() {
					if (c.Matching(photos, path) == nil) != (name == "none") {
						b.Fatal("another answer")
					}
				}
			})
		}
	}
}

// mischief are all patterns of that length, as the schema takes them, that fit the path: none can be ruled out early.
func mischief() (patterns []string) {
	for i := 1; i < 1<<maxSlashes; i++ {
		uri := ""
		for bit := range maxSlashes {
			if i&(1<<bit) != 0 {
				uri += "/{x}"
			} else {
				uri += "/a"
			}
		}
		if URIProblem(uri) == "" {
			patterns = append(patterns, uri)
		}
	}
	return patterns
}

// tenants' resources have up to 32 uris each; all are of so many namespaces in turn.
func spread(name string, namespaces, minute int, uris []string) (resources []*Resource) {
	for chunk := range slices.Chunk(uris, maxURIs) {
		i := len(resources)
		resources = append(resources, served(fmt.Sprint("evil-", i%namespaces), fmt.Sprint(name, i), minute, func(r *Resource) { r.URIs = chunk }))
	}
	return resources
}

func BenchmarkMatchingAgainstMischief(b *testing.B) {
	c := catalogOf(spread("p", 10, 0, mischief())...)
	for b.Loop() {
		if c.Matching(photos, "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a") == nil {
			b.Fatal("not found")
		}
	}
}

// BenchmarkWithMischief has 500 resources with 32 literal uris each behind such patterns, of one namespace and of several that
// work together. What a server does is With; the manager asks of each what is taken, too.
func BenchmarkWithMischief(b *testing.B) {
	var literals []string
	for i := range 500 * maxURIs {
		literals = append(literals, strings.Repeat("/a", maxSlashes-1)+fmt.Sprintf("/%d/%d", i/maxURIs, i%maxURIs))
	}
	for _, namespaces := range []int{1, 10} {
		resources := append(spread("p", namespaces, 0, mischief()), spread("l", namespaces, 1, literals)...)
		b.Run(fmt.Sprint("With/", namespaces), func(b *testing.B) {
			for b.Loop() {
				if catalogOf(resources...).Len() != len(resources) {
					b.Fatal("some are missing")
				}
			}
		})
		b.Run(fmt.Sprint("Taken/", namespaces), func(b *testing.B) {
			c := catalogOf(resources...)
			for b.Loop() {
				for _, r := range resources {
					c.Taken(r)
				}
			}
		})
	}
}
