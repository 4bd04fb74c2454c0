set -euo pipefail

echo "$undefined"
