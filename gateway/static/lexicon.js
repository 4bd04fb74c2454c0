// What the highlighter knows of each language. All of it is optional:
//   line    what starts a comment that ends with the line
//   spans   what may go over lines: [start, end, class, "raw" where a backslash escapes nothing]
//   vars    variables, symbols, directives      word    what a word is, where that's unusual
//   words   keywords and built-in types         indent  one step of indentation, four blanks unless told

const C_LIKE = { line: ["//"], spans: [["/*", "*/", "com"]] };

export const LEXICON = {
  python: {
    line: ["#"],
    spans: [['"""', '"""', "str"], ["'''", "'''", "str"]],
    words: `and as assert async await break case class continue def del elif else except finally for from global if
      import in is lambda match nonlocal not or pass raise return try while with yield True False None`,
  },
  javascript: {
    ...C_LIKE,
    spans: [...C_LIKE.spans, ["`", "`", "str"]],
    indent: "  ",
    words: `async await break case catch class const continue debugger default delete do else export extends finally for
      from function if import in instanceof let new of return static super switch this throw try typeof var void while
      with yield true false null undefined`,
  },
  bash: {
    line: ["#"],
    vars: /\$(?:\{[^}]*\}|\w+|[@*#?!$-])/,
    word: /[\w./:+-]+[\w./:+#-]*/,
    words: `if then else elif fi for while until do done case esac in function select time echo printf read local export
      return exit set shift trap source declare readonly unset break continue true false`,
  },
  c: {
    ...C_LIKE,
    vars: /#\s*(?:include|define|undef|if|ifdef|ifndef|elif|else|endif|error|pragma)\b/,
    words: `auto break case char const continue default do double else enum extern float for goto if inline int long
      register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while bool
      true false nullptr size_t NULL`,
  },
  cpp: {
    ...C_LIKE,
    vars: /#\s*(?:include|define|undef|if|ifdef|ifndef|elif|else|endif|error|pragma)\b/,
    words: `alignas auto bool break case catch char class co_await co_return co_yield concept const consteval constexpr
      continue decltype default delete do double else enum explicit export extern false final float for friend goto if
      import inline int long module mutable namespace new noexcept nullptr operator override private protected public
      requires return short signed sizeof static static_assert struct switch template this throw true try typedef
      typename union unsigned using virtual void volatile while`,
  },
  go: {
    ...C_LIKE,
    spans: [...C_LIKE.spans, ["`", "`", "str", "raw"]],
    indent: "\t",
    words: `break case chan const continue default defer else fallthrough for func go goto if import interface map
      package range return select struct switch type var true false nil iota any bool byte error float32 float64 int
      int64 rune string uint uint64`,
  },
  java: {
    ...C_LIKE,
    spans: [...C_LIKE.spans, ['"""', '"""', "str"]],
    words: `abstract assert boolean break byte case catch char class const continue default do double else enum extends
      final finally float for if implements import instanceof int interface long native new package private protected
      public record return sealed short static strictfp super switch synchronized this throw throws transient try var
      void volatile while yield true false null`,
  },
  ruby: {
    line: ["#"],
    indent: "  ",
    vars: /[@$]{1,2}\w+|:[A-Za-z_]\w*\b/,
    words: `alias and begin break case class def defined? do else elsif end ensure false for if in module next nil not or
      redo rescue retry return self super then true undef unless until when while yield puts require`,
  },
};
