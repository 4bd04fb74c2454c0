const readline = require("node:readline");

for (const argument of process.argv.slice(2)) {
  console.log(argument);
}
readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => console.log(line.toUpperCase()));
