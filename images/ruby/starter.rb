# Starts Ruby before there is a job, waits for one, then lets it become `ruby main.rb`.
#
# For `ruby -C <folder> -r <this file> -r <anything> main.rb`, Ruby opens its main file,
# then requires the one and the other, and only then reads on in the main file. So what it
# opens is a placeholder of the same name; and the second `require` is ours, defined by the
# first. It turns the open file into the job's, and Ruby itself runs that, with no frame of
# this file on its stack. The job comes on descriptor 3 as one frame: four bytes of length,
# most significant first, then texts that each end with a NUL: the folder, how many
# arguments, these, and the environment, which is the one that there is. What could tell
# the program of this file is undone before it runs; left are the process's own command
# line in /proc, the numbers of descriptors, and, in /proc, when the process began. Ruby's
# own clocks are the machine's, or count CPU time: its start takes that in any case.
#
# A first line can hold options, which Ruby takes from the placeholder's: a program that
# has some there is executed anew.

define_singleton_method(:require) do |_|
  singleton_class.remove_method(:require)
  $LOADED_FEATURES.delete(__FILE__) # not there before the first `require` has returned

  job = IO.for_fd(3, "rb")
  read = lambda do |length|
    bytes = job.read(length)
    exit!(0) if bytes.nil? || bytes.bytesize < length # the launcher has gone
    bytes
  end
  texts = read.(read.(4).unpack1("N")).force_encoding(Encoding.default_external)
  job.close
  folder, count, *texts = texts.split("\0")
  command = texts.first(count.to_i)

  Dir.chdir(folder)
  main = command[1]
  first = File.binread(main, 1024).to_s[/\A.*/] # to read by lines would set $.
  opened = ObjectSpace.each_object(File).find { |file| !file.closed? && file.path == main }
  if opened.nil? || (first.start_with?("#!") && !first.match?(/\A#!\S*\s*\S*ruby\s*\z/n))
    exec(*command)
  end
  opened.reopen(main)
  ARGV.replace(command.drop(2).each(&:freeze))
end
