package resource

import (
	"fmt"
	"testing"
)

// manyResources are resources of one audience with two uris each, half of them patterns.
func manyResources(n int) []*Resource {
	resources := make([]*Resource, n)
	for i := range resources {
		resources[i] = served(fmt.Sprint("team-", i%100), fmt.Sprint("album-", i), i%1000, func(r *Resource) {
			r.Type, r.Scopes = "album", []string{"delete", "share", "view"}
			r.URIs = []string{fmt.Sprintf("/albums/%d", i), fmt.Sprintf("/albums/%d/photos/{photo}/*", i)}
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

// BenchmarkMatchingAgainstMischief has all patterns of that length, as the schema takes them, that fit the path: none can be
// ruled out early.
func BenchmarkMatchingAgainstMischief(b *testing.B) {
	var resources []*Resource
	for i := 1; i < 1<<maxSlashes; i++ {
		uri := ""
		for bit := range maxSlashes {
			if i&(1<<bit) != 0 {
				uri += "/{x}"
			} else {
				uri += "/a"
			}
		}
		if URIProblem(uri) != "" {
			continue
		}
		resources = append(resources, served("a", fmt.Sprint("r", i), 0, func(r *Resource) { r.URIs = []string{uri} }))
	}
	c := catalogOf(resources...)
	for b.Loop() {
		if c.Matching(photos, "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a") == nil {
			b.Fatal("not found")
		}
	}
}
