for argument in "$@"; do
  printf '%s\n' "$argument"
done
while IFS= read -r line; do
  printf '%s\n' "${line^^}"
done
