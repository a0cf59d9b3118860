package httpx

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
)

// serve runs a server with the limits and returns its address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(context.Background(), handler, logr.Discard())
	go server.Serve(listener) //nolint:errcheck // it ends with Close
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

func TestAHeaderThatNeverEndsIsCutOff(t *testing.T) {
	p, _ := endpoint(func(w http.ResponseWriter, _ *http.Request, _ *Exchange) error {
		WriteJSON(w, http.StatusOK, "ok")
		return nil
	}, io.Discard)
	conn, err := net.Dial("tcp", serve(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if err := conn.SetReadDeadline(start.Add(readHeaderTimeout + 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, conn); err != nil {
		t.Fatalf("the connection was still open after %s: %v", time.Since(start), err)
	}
}

func TestAHeaderPastEveryLimitIsCutOff(t *testing.T) {
	p, counted := endpoint(func(http.ResponseWriter, *http.Request, *Exchange) error { return NotFound() }, io.Discard)
	conn, err := net.Dial("tcp", serve(t, p))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("a", 1<<20)+"\r\n\r\n") //nolint:errcheck // the server hangs up
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err == nil {
		defer response.Body.Close()
		if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("status = %d, want 431", response.StatusCode)
		}
	}
	if len(counted.requests) != 0 {
		t.Errorf("the handler saw %v", counted.requests)
	}
}
