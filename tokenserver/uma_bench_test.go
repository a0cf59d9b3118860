package tokenserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tokenwright/tokenwright/test/fixture"
	"github.com/tokenwright/tokenwright/tokenserver/resource"
	"github.com/tokenwright/tokenwright/tokenserver/snapshot"
)

// BenchmarkPermissions asks for permissions over 10,000 resources, over HTTP and with a token that is verified each time. Each
// request writes an audit record.
func BenchmarkPermissions(b *testing.B) {
	const resources = 10_000
	w := startUMA(b, func(_ *Options, _ *Parts, input *snapshot.Input) {
		many := make([]*resource.Resource, resources)
		for n := range many {
			many[n] = fixture.Resource(b, api, "orders", fmt.Sprintf("o%05d", n), "order", nil, "read", "write", "delete")
		}
		input.Resources = input.Resources.With(api, many)
	})
	bearer := w.aat(b, "alice", "secret", api, "uma_authorization")
	named := umaForm("response_mode", "permissions")
	for n := range 1000 {
		named.Add("permission", fmt.Sprintf("orders/o%05d#read", n*resources/1000))
	}
	limited := umaForm("response_permissions_limit", "40")
	for _, bench := range []struct {
		name string
		form string
		want int
	}{
		{"1000 of 10000", named.Encode(), 1000},
		{"all of 10000", umaForm("response_mode", "permissions").Encode(), resources},
		{"RPT of 40 of 10000", limited.Encode(), 0},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request, err := http.NewRequest(http.MethodPost, w.url+"/token", strings.NewReader(bench.form))
				if err != nil {
					b.Fatal(err)
				}
				request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				request.Header.Set("Authorization", "Bearer "+bearer)
				answer := w.do(b, request)
				if answer.status != http.StatusOK {
					b.Fatalf("%d %s", answer.status, answer.body)
				}
				if got := strings.Count(string(answer.body), `"rsid"`); got != bench.want {
					b.Fatalf("%d permissions", got)
				}
			}
		})
	}
}
