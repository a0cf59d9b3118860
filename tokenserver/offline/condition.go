package offline

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tokenwright/tokenwright/tokenserver/manifest"
)

// told is what was logged, so that it is not logged again.
type told struct {
	skipped, providers int
	refusal            string
}

// Condition is what an operator has to know. It is never changed, only replaced.
type Condition struct {
	// Loaded is when a set of manifests was taken over last, and Files how many files it had.
	Loaded time.Time
	Files  int
	// Problems is why the manifests as they are now are not in force, and ProblemCount how many there are.
	Problems     error
	ProblemCount int
	// Keys is why keys could not be written, and KeyFailures how often that was so.
	Keys        error
	KeyFailures uint64
}

func (o *Offline) note(change func(*Condition)) {
	next := *o.condition.Load()
	change(&next)
	o.condition.Store(&next)
}

// Condition is as of now.
func (o *Offline) Condition() Condition { return *o.condition.Load() }

// Err says what is wrong, and nil if nothing is. The server goes on with what it has.
func (c Condition) Err() error {
	var errs []error
	if c.Problems != nil {
		errs = append(errs, fmt.Errorf("the last good manifests are in force, of %s: %w", c.Loaded.UTC().Format(time.RFC3339), c.Problems))
	}
	if c.Keys != nil {
		errs = append(errs, fmt.Errorf("keys cannot be written: %w", c.Keys))
	}
	return errors.Join(errs...)
}

// loaded notes that a set is in force.
func (o *Offline) loaded(set *manifest.Set, n changes) {
	o.note(func(c *Condition) { c.Loaded, c.Files = time.Now(), set.Files })
	if n.put+n.deleted > 0 {
		o.options.Log.Info("Took over manifests", "files", set.Files, "changed", n.put, "deleted", n.deleted,
			"policies", len(set.AccessPolicies)+len(set.ClusterAccessPolicies))
	}
}

// refused notes that the manifests as they are now are not in force, or, with nil, that they are.
func (o *Offline) refused(err error) {
	count := 0
	var r *refusal
	if errors.As(err, &r) {
		count = r.count()
	}
	o.note(func(c *Condition) { c.Problems, c.ProblemCount = err, count })
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == o.told.refusal {
		return
	}
	o.told.refusal = text
	if err == nil {
		o.options.Log.Info("The manifests are in order again")
		return
	}
	o.options.Log.Error(err, "Refused the manifests, the last good ones stay in force", "problems", count)
}

func (o *Offline) keysFailed(err error) {
	o.note(func(c *Condition) {
		c.Keys = err
		if err != nil {
			c.KeyFailures++
		}
	})
}

// The names are those of the server's metrics.
const metricPrefix = "tokenwright_server_"

var (
	problemsDesc = prometheus.NewDesc(metricPrefix+"manifest_problems",
		"Problems because of which the manifests as they are now are not in force; 0 if they are.", nil, nil)
	loadedDesc = prometheus.NewDesc(metricPrefix+"manifests_loaded_timestamp_seconds",
		"When manifests were taken over last, or found to be as they were, in seconds since 1970.", nil, nil)
	filesDesc    = prometheus.NewDesc(metricPrefix+"manifest_files", "Files of the manifests that are in force.", nil, nil)
	failuresDesc = prometheus.NewDesc(metricPrefix+"key_write_failures_total", "Times that keys could not be written to the state folder.", nil, nil)
)

// Describe implements prometheus.Collector.
func (o *Offline) Describe(out chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{problemsDesc, loadedDesc, filesDesc, failuresDesc} {
		out <- desc
	}
}

// Collect implements prometheus.Collector.
func (o *Offline) Collect(out chan<- prometheus.Metric) {
	c := o.Condition()
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64) {
		out <- prometheus.MustNewConstMetric(desc, kind, value)
	}
	send(problemsDesc, prometheus.GaugeValue, float64(c.ProblemCount))
	send(loadedDesc, prometheus.GaugeValue, float64(c.Loaded.UnixMilli())/1000)
	send(filesDesc, prometheus.GaugeValue, float64(c.Files))
	send(failuresDesc, prometheus.CounterValue, float64(c.KeyFailures))
}
