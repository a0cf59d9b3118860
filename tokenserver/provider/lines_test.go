package provider

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestParseUsers(t *testing.T) {
	cases := map[string]struct {
		reason string
		prefix string
		file   string
		users  []string
		lines  []string // "htpasswd file, line N" of each problem
	}{
		"comments, empty lines and CRLF": {
			reason: "Files are written by people.",
			file:   "# a\r\n\n  \nalice:" + hash4 + "\r\nbob:" + withCost("10") + " \n",
			users:  []string{"alice", "bob"},
		},
		"of one user twice the first line counts": {
			reason: "A line appended to the file must not take an account over.",
			file:   "alice:" + hash4 + "\nalice:" + withCost("05"),
			users:  []string{"alice"},
			lines:  []string{"line 2"},
		},
		"hashes that are not bcrypt": {
			reason: "Plain text, crypt, MD5, SHA-1 and argon2 must not be compared as if they were passwords.",
			file: "a:secret\nb:$apr1$x$y\nc:{SHA}abc=\nd:$argon2id$v=19$x\ne:" + hash4[:59] + "\nf:" + hash4 + "A\ng:$2x$" + hash4[4:] +
				"\nh:" + hash4[:58] + "!!\ni:" + hash4 + ":x\nj:",
			lines: []string{"line 1, 2, 3, 4, 5, 6, 7, 8, 9, 10"},
		},
		"costs out of bounds": {
			reason: "A cost of 31 would keep a core busy for days at one login.",
			file:   "a:" + withCost("31") + "\nb:" + withCost("03") + "\nc:" + withCost("15") + "\nd:" + withCost("14"),
			users:  []string{"d"},
			lines:  []string{"line 1, 2, 3"},
		},
		"names of Kubernetes' own": {
			reason: "Only the API server says who a ServiceAccount is.",
			file:   "system:serviceaccount:ci:builder:" + hash4 + "\nsystem:masters:" + hash4 + "\nsystem:" + hash4,
			lines:  []string{"line 1, 2, 3"},
		},
		"a prefix and a name that make a name of Kubernetes' own": {
			reason: "The prefix alone does not start with system:.",
			prefix: "sys",
			file:   "tem:" + hash4 + "\nalice:" + hash4,
			users:  []string{"alice", "tem"},
		},
		"names that cannot be seen": {
			reason: "Names that look alike would be different users.",
			file:   "a\x00:" + hash4 + "\na\u200b:" + hash4 + "\n a:" + hash4 + "\na\tb:" + hash4 + "\n\xff:" + hash4,
			lines:  []string{"line 1, 2, 3, 4, 5"},
		},
		"empty and overlong names": {
			reason: "No policy could speak of them.",
			file:   ":" + hash4 + "\n" + strings.Repeat("a", maxName+1) + ":" + hash4,
			lines:  []string{"line 1", "line 2"},
		},
		"a line without a colon": {
			reason: "It is no entry.",
			file:   "alice",
			lines:  []string{"line 1"},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			users, problems := parseUsers([]byte(tc.file), tc.prefix)
			var got []string
			for user := range users.Hashes {
				got = append(got, user)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tc.users, got); diff != "" {
				t.Errorf("%s\nusers -want +got:\n%s", tc.reason, diff)
			}
			var lines []string
			for _, p := range problems {
				where, _, _ := strings.Cut(strings.TrimPrefix(p.Message, "htpasswd file, "), ":")
				lines = append(lines, where)
			}
			if diff := cmp.Diff(tc.lines, lines); diff != "" {
				t.Errorf("%s\nproblems -want +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestParseGroups(t *testing.T) {
	cases := map[string]struct {
		reason   string
		prefix   string
		file     string
		groups   map[string][]string
		problems int
	}{
		"a group on two lines has the users of both": {
			reason: "As Apache reads it.",
			file:   "devs: alice\ndevs: bob alice\n",
			groups: map[string][]string{"alice": {"devs"}, "bob": {"devs"}},
		},
		"groups of Kubernetes' own are refused": {
			reason:   "A file that says system:masters must not make one.",
			file:     "system:masters: alice\nsystem:serviceaccounts: alice\nsystem: alice\nops: alice",
			groups:   map[string][]string{"alice": {"ops"}},
			problems: 1,
		},
		"a prefix does not make a group of Kubernetes' own": {
			reason:   "The group alone starts with it, though the prefix hides it.",
			prefix:   "corp:",
			file:     "system:masters: alice",
			groups:   map[string][]string{},
			problems: 1,
		},
		"a group with a colon in its name is refused": {
			reason:   "It would be the group corp with a user devs:.",
			file:     "corp:devs: alice",
			groups:   map[string][]string{},
			problems: 1,
		},
		"a line without a colon is refused": {
			reason:   "It is no entry.",
			file:     "devs alice",
			groups:   map[string][]string{},
			problems: 1,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			groups, problems := parseGroups([]byte(tc.file), tc.prefix)
			if diff := cmp.Diff(tc.groups, groups); diff != "" {
				t.Errorf("%s\ngroups -want +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.problems, len(problems)); diff != "" {
				t.Errorf("%s\nproblems -want +got:\n%s\n%v", tc.reason, diff, problems)
			}
		})
	}
}

func TestGroupsOfOneUserAreBounded(t *testing.T) {
	var file strings.Builder
	for i := range maxGroups + 5 {
		fmt.Fprintf(&file, "g%d: alice\n", i)
	}
	groups, problems := parseGroups([]byte(file.String()), "")
	if len(groups["alice"]) != maxGroups || len(problems) != 1 {
		t.Errorf("got %d groups and %d problems, want %d and 1", len(groups["alice"]), len(problems), maxGroups)
	}
}

func TestProblemsHoldNoContent(t *testing.T) {
	file := "hunter2\nalice:hunter2\nhunter2:" + withCost("31") + "\nhunter2:" + hash4 + "\nhunter2:" + hash4
	_, problems := parseUsers([]byte(file), "")
	_, more := parseGroups([]byte("hunter2\nhunter2:hunter2:hunter2"), "")
	for _, p := range append(problems, more...) {
		if strings.Contains(p.Message, "hunter2") {
			t.Errorf("the message %q shows what the file holds", p.Message)
		}
	}
}

func TestManyBadLinesMakeOneShortMessage(t *testing.T) {
	_, problems := parseUsers([]byte(strings.Repeat("x\n", maxLines)), "")
	if len(problems) != 1 || len(problems[0].Message) > 200 {
		t.Errorf("got %d problems, the first %q; want one of at most 200 bytes", len(problems), problems[0].Message)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("alice:"+hash4+"\n"), "corp:")
	f.Add([]byte("devs: alice bob\n# c\r\n"), "")
	f.Add([]byte("system:x:"+hash4), "sys")
	f.Fuzz(func(t *testing.T, file []byte, prefix string) {
		if prefixFault("htpasswd", prefix) != "" {
			return
		}
		users, _ := parseUsers(file, prefix)
		for name, hash := range users.Hashes {
			if strings.HasPrefix(prefix+name, reserved) || strings.HasPrefix(name, reserved) || !utf8.ValidString(name) || name == "" {
				t.Errorf("user %q with prefix %q was accepted", name, prefix)
			}
			if cost, ok := bcryptCost(string(hash)); !ok || cost > users.Cost || cost > maxCost {
				t.Errorf("hash %q was accepted", hash)
			}
		}
		groups, _ := parseGroups(file, prefix)
		for user, of := range groups {
			for _, group := range of {
				if strings.HasPrefix(group, reserved) || !strings.HasPrefix(group, prefix) {
					t.Errorf("group %q of %q with prefix %q was accepted", group, user, prefix)
				}
			}
		}
	})
}
