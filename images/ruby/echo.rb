puts ARGV
$stdin.each_line { |line| puts line.chomp.upcase }
