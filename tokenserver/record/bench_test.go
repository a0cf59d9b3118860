package record_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkRevocation revokes tokens through one replica: how long until the answer, and until another replica goes by it
// after that. Run it with -benchtime 500x.
func BenchmarkRevocation(b *testing.B) {
	one, other := newReplica(b), newReplica(b)
	var delays []time.Duration
	n := 0
	for b.Loop() {
		n++
		id := fmt.Sprintf("bench-%d-%d", time.Now().UnixNano(), n)
		if err := one.Revoke(b.Context(), ofToken(id)); err != nil {
			b.Fatal(err)
		}
		answered := time.Now()
		for !other.index.Revocations().Token(id) {
			time.Sleep(20 * time.Microsecond)
		}
		delays = append(delays, time.Since(answered))
	}
	slices.Sort(delays)
	b.ReportMetric(float64(delays[len(delays)/2].Microseconds())/1000, "ms-p50")
	b.ReportMetric(float64(delays[len(delays)*99/100].Microseconds())/1000, "ms-p99")
}
