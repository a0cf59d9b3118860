// Package load asks a server for the same thing again and again, over connections that stay open, and says how often it
// was answered and how long that took. It speaks the least of HTTP/1.1 that two known servers need: a client that does
// more would be measured instead of them. It owns no judgement: what the figures mean is the caller's.
package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Target is what is asked of whom.
type Target struct {
	// Address is host:port.
	Address string
	// Path is the request target, such as /token?service=registry.
	Path string
	// Authorization is the value of that header, if not empty.
	Authorization string
}

// Result is what came of it. An answer other than 200 ends the run with an error: it would be the faster one.
type Result struct {
	Requests int
	Elapsed  time.Duration
	// Latencies are of every request, sorted.
	Latencies []time.Duration
}

// Rate is the number of requests in a second.
func (r Result) Rate() float64 { return float64(r.Requests) / r.Elapsed.Seconds() }

// Quantile is the latency that the share of all requests did not exceed.
func (r Result) Quantile(share float64) time.Duration {
	if len(r.Latencies) == 0 {
		return 0
	}
	return r.Latencies[min(int(share*float64(len(r.Latencies))), len(r.Latencies)-1)]
}

// Run keeps so many connections busy for a time.
func Run(ctx context.Context, target Target, connections int, during time.Duration) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, during)
	defer cancel()
	var (
		all       sync.WaitGroup
		mu        sync.Mutex
		result    Result
		failures  []error
		began     = time.Now()
		requested = target.request()
	)
	for range connections {
		all.Go(func() {
			latencies, err := one(ctx, target.Address, requested)
			mu.Lock()
			defer mu.Unlock()
			result.Latencies = append(result.Latencies, latencies...)
			if err != nil {
				failures = append(failures, err)
			}
		})
	}
	all.Wait()
	result.Elapsed, result.Requests = time.Since(began), len(result.Latencies)
	slices.Sort(result.Latencies)
	return result, errors.Join(failures...)
}

// Body asks once and returns the answer.
func Body(target Target) ([]byte, error) {
	c, err := dial(context.Background(), target.Address)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	if _, err := c.conn.Write(target.request()); err != nil {
		return nil, err
	}
	n, err := c.head()
	if err != nil {
		return nil, err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(c.reader, body)
	return body, err
}

func (t Target) request() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: docker/28.0.0\r\n", t.Path, t.Address)
	if t.Authorization != "" {
		fmt.Fprintf(&b, "Authorization: %s\r\n", t.Authorization)
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

// one asks over one connection until the context ends.
func one(ctx context.Context, address string, request []byte) ([]time.Duration, error) {
	c, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	defer c.conn.Close()
	latencies := make([]time.Duration, 0, 1<<14)
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := c.conn.Write(request); err != nil {
			return latencies, err
		}
		n, err := c.head()
		if err != nil {
			return latencies, err
		}
		if _, err := c.reader.Discard(n); err != nil {
			return latencies, err
		}
		latencies = append(latencies, time.Since(began))
	}
	return latencies, nil
}

type connection struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(ctx context.Context, address string) (*connection, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, reader: bufio.NewReaderSize(conn, 32<<10)}, nil
}

var contentLength = []byte("Content-Length: ")

// head reads an answer up to its body and returns the body's length.
func (c *connection) head() (int, error) {
	status, err := c.reader.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if !bytes.HasPrefix(status, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the server answered %q", bytes.TrimSpace(status))
	}
	length := -1
	for {
		line, err := c.reader.ReadSlice('\n')
		switch {
		case err != nil:
			return 0, err
		case len(line) <= len("\r\n"):
			if length < 0 {
				return 0, errors.New("the answer has no Content-Length")
			}
			return length, nil
		case bytes.HasPrefix(line, contentLength):
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(contentLength):]))); err != nil {
				return 0, err
			}
		}
	}
}
