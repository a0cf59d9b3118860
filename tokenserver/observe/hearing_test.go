package observe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/tokenwright/tokenwright/tokenserver/record"
)

// part is something that an answer brings, after a while.
type part struct {
	after time.Duration
	text  string
	err   error
}

// script is an answer's body. After its parts it hangs until the request is given up, unless one of them ended it.
type script struct {
	ctx   context.Context
	parts []part
}

func (s *script) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		<-s.ctx.Done()
		return 0, s.ctx.Err()
	}
	next := s.parts[0]
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(next.after):
	}
	s.parts = s.parts[1:]
	return copy(p, next.text), next.err
}

func (*script) Close() error { return nil }

// answers is a transport that follows a script, and remembers what it was asked.
type answers struct {
	status int
	parts  []part
	asked  *http.Request
}

func (a *answers) RoundTrip(request *http.Request) (*http.Response, error) {
	a.asked = request
	return &http.Response{StatusCode: a.status, Body: &script{request.Context(), a.parts}}, nil
}

const (
	secrets   = "https://api/api/v1/namespaces/tokenwright-system/secrets?labelSelector=x"
	aWatch    = secrets + "&watch=true&timeoutSeconds=400&resourceVersion=7&allowWatchBookmarks=true"
	aListing  = aWatch + "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
	bookmark  = `{"type":"BOOKMARK","object":{"kind":"Secret"}}`
	listEnded = `{"type":"BOOKMARK","object":{"metadata":{"annotations":{"k8s.io/initial-events-end":"true"}}}}`
)

// TestWhatCountsAsHeard reads answers to their end, and looks when the kind was heard from last.
func TestWhatCountsAsHeard(t *testing.T) {
	const never = -1
	cases := map[string]struct {
		reason string
		url    string
		status int
		parts  []part
		want   time.Duration // since the request
	}{
		"an event": {"The watch delivers.", aWatch, 200, []part{{5 * time.Second, `{"type":"ADDED"`, nil}}, 5 * time.Second},
		"bookmarks": {"Nothing has changed, and the watch delivers.", aWatch, 200,
			[]part{{time.Minute, bookmark, nil}, {time.Minute, bookmark, nil}}, 2 * time.Minute},
		"the header only": {"It promises events and is none.", aWatch, 200, nil, never},
		"the orderly end": {"What was sent before has arrived.", aWatch, 200, []part{{400 * time.Second, "", io.EOF}}, 400 * time.Second},
		"a watch that broke": {"What was on its way is lost.", aWatch, 200,
			[]part{{time.Second, bookmark, nil}, {time.Minute, "", io.ErrUnexpectedEOF}}, time.Second},
		"a refused watch":     {"The API server is there, and says nothing about Secrets.", aWatch, 403, []part{{time.Second, "no", nil}, {0, "", io.EOF}}, never},
		"a whole list":        {"It is what the cache holds next.", secrets, 200, []part{{time.Second, "{}", nil}, {time.Second, "", io.EOF}}, 2 * time.Second},
		"a part of a list":    {"It is thrown away.", secrets, 200, []part{{time.Second, "{", nil}, {time.Second, "", io.ErrUnexpectedEOF}}, never},
		"a refused list":      {"It has no Secrets in it.", secrets, 403, []part{{time.Second, "no", io.EOF}}, never},
		"a list in a watch":   {"Its end says that it is whole.", aListing, 200, []part{{time.Second, bookmark, nil}, {time.Second, listEnded, nil}}, 2 * time.Second},
		"half of such a list": {"It is thrown away, too.", aListing, 200, []part{{time.Second, bookmark, nil}, {time.Second, "", io.ErrUnexpectedEOF}}, never},
		"the orderly end of half of such a list": {"The API server gave up.", aListing, 200,
			[]part{{time.Second, bookmark, nil}, {time.Second, "", io.EOF}}, never},
		"an end that comes in two pieces": {"Reads end anywhere.", aListing, 200,
			[]part{{time.Second, listEnded[:60], nil}, {time.Second, listEnded[60:], nil}}, 2 * time.Second},
		"what follows such a list": {"It is a watch then.", aListing, 200,
			[]part{{time.Second, listEnded, nil}, {time.Minute, bookmark, nil}}, 61 * time.Second},
		"another resource": {"It is not what snapshots are made of.", strings.Replace(aWatch, "secrets", "leases", 1), 200,
			[]part{{time.Second, bookmark, nil}}, never},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &listener{next: &answers{status: tc.status, parts: tc.parts}, hearing: newHearing(time.Hour, everyKind())}
				l.hearing.note("secrets") // else the watch would be a short one
				before := l.hearing.last("secrets")
				time.Sleep(time.Second)
				began := time.Now()
				_ = read(t, l, tc.url)
				got := time.Duration(never)
				if at := l.hearing.last("secrets"); !at.Equal(before) {
					got = at.Sub(began)
				}
				if got != tc.want {
					t.Errorf("%s\nheard after %s, expected %s", tc.reason, got, tc.want)
				}
			})
		})
	}
}

// read sends a request and reads the answer to its end, for at most an hour.
func read(t *testing.T, l *listener, url string) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := l.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	_, err = io.ReadAll(answer.Body)
	if strings.Contains(request.URL.RawQuery, "watch") && request.URL.String() != url {
		t.Error("the caller's request was changed")
	}
	return err
}

// TestHowLongAWatchMayBe asks with client-go's own idea of it, 400 s.
func TestHowLongAWatchMayBe(t *testing.T) {
	cases := map[string]struct {
		reason string
		limit  time.Duration
		heard  time.Duration // ago; 0 is never
		url    string
		want   string
		silent time.Duration // when it is given up
	}{
		"with the limit of an hour":         {"client-go's is short enough.", time.Hour, time.Second, aWatch, "400", 430 * time.Second},
		"with a limit of two minutes":       {"It must end, and another begin, in time.", 2 * time.Minute, time.Second, aWatch, "40", 70 * time.Second},
		"with a limit of 10 s":              {"Whole seconds are all that can be asked for.", 10 * time.Second, time.Second, aWatch, "3", 3*time.Second + 10*time.Second/3},
		"with the shortest limit":           {"A second is the shortest.", 3 * time.Second, time.Second, aWatch, "1", 2 * time.Second},
		"after a long silence":              {"A short one shows soon that it works.", time.Hour, 31 * time.Minute, aWatch, "3", 33 * time.Second},
		"after a long silence, limit short": {"Not longer than else.", 3 * time.Second, time.Hour, aWatch, "1", 2 * time.Second},
		"the first":                         {"The same.", time.Hour, 0, aWatch, "3", 33 * time.Second},
		"with a list":                       {"It may take its time, and is cut once it is silent.", 2 * time.Minute, time.Second, aListing, "400", 40 * time.Second},
		"without a length":                  {"The API server's own would be half an hour.", time.Hour, time.Second, secrets + "&watch=1", "1200", 1230 * time.Second},
		"without a limit":                   {"Requests stay as they are.", 0, 0, aWatch, "400", time.Hour},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				api := &answers{status: 200}
				l := &listener{next: api, hearing: newHearing(tc.limit, everyKind())}
				if tc.heard > 0 {
					l.hearing.note("secrets")
					time.Sleep(tc.heard)
				}
				began := time.Now()
				err := read(t, l, tc.url)
				type result struct {
					Asked string
					Took  time.Duration
				}
				got := result{api.asked.URL.Query().Get("timeoutSeconds"), time.Since(began)}
				if diff := cmp.Diff(result{tc.want, tc.silent}, got); diff != "" {
					t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
				}
				if tc.limit > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("err = %v: informers begin anew at once only after a connection that broke", err)
				}
				if rest := api.asked.URL.Query().Get("labelSelector"); rest != "x" {
					t.Errorf("the selector is %q", rest)
				}
			})
		})
	}
}

// TestAWatchThatSpeaksIsNotCut has bookmarks at the pace of API servers for longer than the patience.
func TestAWatchThatSpeaksIsNotCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts []part
		for range 9 {
			parts = append(parts, part{time.Minute, bookmark, nil})
		}
		api := &answers{status: 200, parts: append(parts, part{time.Minute, "", io.EOF})}
		l := &listener{next: api, hearing: newHearing(5*time.Minute, everyKind())}
		l.hearing.note("secrets")
		if err := read(t, l, aWatch); err != nil {
			t.Errorf("err = %v", err)
		}
	})
}

func TestTheKindThatWasNotHeardFromForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHearing(time.Hour, everyKind())
		for resource := range everyKind() {
			if resource != "namespaces" {
				h.note(resource)
			}
		}
		if at, kind := h.oldest(); kind != "namespaces" || !at.IsZero() {
			t.Errorf("%s at %s: never is the longest", kind, at)
		}
		time.Sleep(time.Second)
		for resource := range everyKind() {
			if resource != "signingkeys" {
				h.note(resource)
			}
		}
		at, kind := h.oldest()
		if kind != "signingkeys" || time.Since(at) != time.Second {
			t.Errorf("%s at %s", kind, at)
		}
		if h.overdue(at, at.Add(30*time.Minute)) || !h.overdue(at, at.Add(30*time.Minute+1)) || !h.overdue(time.Time{}, at) {
			t.Error("fresh is what was heard from within half of the limit")
		}
	})
}

// everyKind are the resources of a server with records.
func everyKind() sets.Set[string] { return Options{Records: &record.Index{}}.watches() }
