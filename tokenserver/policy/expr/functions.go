package expr

// use says what an expression must observe with a function.
type use uint8

const (
	// free functions take any arguments.
	free use = iota + 1
	// loop is a macro that loops; loops nest up to maxLoops.
	loop
	// short functions multiply the lengths of what they are given, so their texts must be short literals.
	short
	// pattern functions have a regular expression last, which must be a small literal.
	pattern
	// clock functions may have a time zone, which must be an offset.
	clock
)

// uses returns how the function may be used; zero if it may not be. The functions are named one by one: those of
// Kubernetes' libraries that are not here make much from little ("%.1000000f".format, lists.range, sort), copy their
// argument while they are parsed (optMap), or serve nothing that a policy knows (quantities, semantic versions).
func uses(function string) use {
	switch function {
	case "_?_:_", "_&&_", "_||_", "!_", "-_", "_==_", "_!=_", "_<_", "_<=_", "_>_", "_>=_", "_+_", "_-_", "_*_", "_/_",
		"_%_", "_[_]", "@in", "_?._", "_[?_]", "hasValue", "value", "or", "orValue", "has":
		return free
	case "all", "exists", "exists_one", "existsOne", "filter", "map", "transformList":
		return loop
	case "bool", "double", "duration", "int", "size", "string", "timestamp", "type", "uint":
		return free
	case "charAt", "contains", "endsWith", "lowerAscii", "startsWith", "substring", "trim", "upperAscii":
		return free
	case "indexOf", "join", "lastIndexOf", "replace", "split":
		return short
	case "find", "matches":
		return pattern
	case "getDate", "getDayOfMonth", "getDayOfWeek", "getDayOfYear", "getFullYear", "getHours", "getMilliseconds",
		"getMinutes", "getMonth", "getSeconds":
		return clock
	case "cidr", "containsCIDR", "containsIP", "family", "ip", "isCIDR", "isCanonical", "isGlobalUnicast", "isIP",
		"isLinkLocalMulticast", "isLinkLocalUnicast", "isLoopback", "isUnspecified", "masked", "prefixLength":
		return free
	case "getEscapedPath", "getHost", "getHostname", "getPort", "getScheme", "isURL", "url":
		return free
	case "equivalent", "intersects": // of sets, as contains is
		return free
	}
	return 0
}
