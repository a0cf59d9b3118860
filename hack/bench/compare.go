package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tokenwright/tokenwright/hack/bench/load"
)

// contestant is a server and what it is asked.
type contestant struct {
	process *process
	target  load.Target
}

// compared is what came of two contestants that were asked in turn.
type compared struct {
	// first and second are requests in a second of one core, the medians of all rounds; ratio is the median of the rounds'.
	first, second, ratio float64
	// p50 and p99 are latencies of the first, medians of the rounds.
	p50, p99 time.Duration
}

// connections are how many requests are under way at once.
const connections = 16

// compare asks both in turn, round after round, so that whatever else the machine does strikes both. A rate is that of
// the time for which the server ran, and not of the clock on the wall: on a core of its own the two are the same, and on
// one that has to be shared only the first says something of the server.
func compare(ctx context.Context, first, second contestant, rounds int, each time.Duration) (compared, error) {
	for _, c := range []contestant{first, second} { // what is made once is not measured
		if _, _, err := c.ask(ctx, each); err != nil {
			return compared{}, err
		}
	}
	var firsts, seconds, ratios []float64
	var p50s, p99s []time.Duration
	for range rounds {
		a, result, err := first.ask(ctx, each)
		if err != nil {
			return compared{}, err
		}
		b, _, err := second.ask(ctx, each)
		if err != nil {
			return compared{}, err
		}
		firsts, seconds, ratios = append(firsts, a), append(seconds, b), append(ratios, a/b)
		p50s, p99s = append(p50s, result.Quantile(0.5)), append(p99s, result.Quantile(0.99))
	}
	return compared{median(firsts), median(seconds), median(ratios), median(p50s), median(p99s)}, nil
}

// ask returns the rate of one round.
func (c contestant) ask(ctx context.Context, during time.Duration) (float64, load.Result, error) {
	before, err := c.process.processorTime()
	if err != nil {
		return 0, load.Result{}, err
	}
	result, err := load.Run(ctx, c.target, connections, during)
	if err != nil {
		return 0, result, fmt.Errorf("ask %s%s: %w", c.target.Address, c.target.Path, err)
	}
	after, err := c.process.processorTime()
	if err != nil {
		return 0, result, err
	}
	return float64(result.Requests) / (after - before).Seconds(), result, nil
}

func median[T float64 | time.Duration](values []T) T {
	slices.Sort(values)
	return values[len(values)/2]
}
