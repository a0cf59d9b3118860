package main

import (
	"context"
	"fmt"
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
	// first and second are requests in a second of one core, in the best round of each; ratio is the first's share.
	first, second, ratio float64
	// p50 and p99 are latencies of the first in that round.
	p50, p99 time.Duration
}

// connections are how many requests are under way at once.
const connections = 16

// compare asks both in turn, round after round, so that whatever else the machine does strikes both. A rate is that of
// the time for which the server ran, and not of the clock on the wall: on a core of its own the two are the same, and on
// one that has to be shared only the first says something of the server. What others do to the core's caches, and on its
// other thread, still makes a round slower and never faster: so the best round of each counts.
func compare(ctx context.Context, first, second contestant, rounds int, each time.Duration) (compared, error) {
	for _, c := range []contestant{first, second} { // what is made once is not measured
		if _, _, err := c.ask(ctx, each); err != nil {
			return compared{}, err
		}
	}
	var best compared
	for range rounds {
		rate, result, err := first.ask(ctx, each)
		if err != nil {
			return compared{}, err
		}
		if rate > best.first {
			best.first, best.p50, best.p99 = rate, result.Quantile(0.5), result.Quantile(0.99)
		}
		if rate, _, err = second.ask(ctx, each); err != nil {
			return compared{}, err
		}
		best.second = max(best.second, rate)
	}
	best.ratio = best.first / best.second
	return best, nil
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
