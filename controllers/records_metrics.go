package controllers

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwright/tokenwright/api/v1alpha1"
)

// recordMetrics count what becomes of records and permission requests, by kind. Their series are there from the start: a counter that begins with its first
// failure has no increase.
type recordMetrics struct {
	collected, failures *prometheus.CounterVec
}

// The kinds of what is collected, as labels.
const (
	kindIssuedToken       = "IssuedToken"
	kindPermissionRequest = "PermissionRequest"
	kindTokenRevocation   = "TokenRevocation"
)

// newRecordMetrics returns the metrics, which are registered, or those that are registered already.
func newRecordMetrics(registry prometheus.Registerer) (recordMetrics, error) {
	var m recordMetrics
	for _, c := range []struct {
		to         **prometheus.CounterVec
		name, help string
	}{
		{&m.collected, "tokenwright_records_collected_total", "Records and permission requests that did not matter any more and were deleted, by kind."},
		{&m.failures, "tokenwright_record_collection_failures_total", "Records and permission requests that could be neither listed nor deleted, by kind."},
	} {
		counter := prometheus.NewCounterVec(prometheus.CounterOpts{Name: c.name, Help: c.help}, []string{"kind"})
		err := registry.Register(counter)
		var registered prometheus.AlreadyRegisteredError
		if errors.As(err, &registered) {
			if known, ok := registered.ExistingCollector.(*prometheus.CounterVec); ok {
				counter, err = known, nil
			}
		}
		if err != nil {
			return recordMetrics{}, fmt.Errorf("register the metrics of records: %w", err)
		}
		for _, kind := range []string{kindIssuedToken, kindPermissionRequest, kindTokenRevocation} {
			counter.WithLabelValues(kind)
		}
		*c.to = counter
	}
	return m, nil
}

// recordKind is the label of an object, or of a list of such.
func recordKind(object any) string {
	switch object.(type) {
	case *v1alpha1.IssuedToken, *v1alpha1.IssuedTokenList:
		return kindIssuedToken
	case *v1alpha1.PermissionRequest:
		return kindPermissionRequest
	}
	return kindTokenRevocation
}
