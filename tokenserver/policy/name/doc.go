// Package name owns how policies name resources: the grammar of patterns, what they match, and how the caller's own
// values stand in for placeholders. It does not know rules, callers or policies, nor which type has which grammar.
//
// A pattern's meaning never depends on the values put into it: a value is compared character by character, so a star or
// a placeholder in it is just that. What cannot be substituted never helps the caller: see Pattern.Match.
package name
