// Is `javac`, which also finds the class to start (MainClass). With arguments it compiles
// at once; without any it starts before there is a job, and waits for one.
//
// The job comes on standard input as one frame: four bytes of length, most significant
// first, then texts that each end with a NUL: the folder, how many arguments, these, and
// the environment. This JVM compiles for one job only and ends with it, so there is
// nothing that it could have to forget.
//
// The process's folder was set by -Duser.dir before the folder was there.

import com.sun.tools.javac.Main;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.Writer;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

final class CompileStarter {
    /** While jobs come one after the other, the next one needs the processor more. */
    private static final long QUIET_MS = 250;

    private static final String PROGRAM = """
        import java.util.*;
        public class Main {
            record Pair<A, B>(A first, B second) {}
            public static void main(String[] args) {
                Scanner in = new Scanner(System.in);
                Map<String, List<Integer>> found = new HashMap<>();
                for (int i = 0; i < args.length; i++) {
                    found.computeIfAbsent(args[i], key -> new ArrayList<>()).add(i);
                }
                long sum = found.values().stream().mapToInt(List::size).sum();
                System.out.println("sum " + sum + new Pair<>(1, "x").first());
                System.out.printf("%d%n", in.hasNextInt() ? in.nextInt() : sum);
            }
        }
        """;

    private CompileStarter() {}

    /** `args`: the compiler's own; while the image is made, a first one says so. */
    public static void main(String[] args) throws Exception {
        List<String> given = List.of(args);
        if (given.isEmpty()) {
            given = await();
        } else if (given.get(0).equals("--rehearse")) {
            rehearse();
            given = given.subList(1, given.size());
        }
        System.exit(compile(given));
    }

    private static int compile(List<String> given) throws IOException {
        int code = Main.compile(given.toArray(String[]::new));
        if (code == 0) {
            MainClass.leave(Path.of(System.getProperty("user.dir")), sources(given));
        }
        return code;
    }

    private static List<String> sources(List<String> given) {
        return given.stream()
            .filter(text -> text.endsWith(".java") && !text.startsWith("-"))
            .map(text -> text.startsWith("./") ? text.substring(2) : text)
            .toList();
    }

    /** Waits for a job; returns what its command says behind this class's name. */
    private static List<String> await() throws IOException {
        Thread.ofPlatform().daemon().start(CompileStarter::rehearseWhenQuiet);
        DataInputStream in = new DataInputStream(System.in);
        int length = in.readInt(); // an end here: the launcher has gone
        String[] texts = new String(in.readNBytes(length), "UTF-8").split("\0", -1);
        List<String> words = List.of(texts).subList(2, 2 + Integer.parseInt(texts[1]));
        return words.subList(words.indexOf("CompileStarter") + 1, words.size());
    }

    private static void rehearseWhenQuiet() {
        try {
            Thread.sleep(QUIET_MS);
            rehearse();
        } catch (InterruptedException end) {
            Thread.currentThread().interrupt();
        }
    }

    /** Compiles a program to nowhere, so that the compiler's own code is ready. */
    private static void rehearse() {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        Nowhere nowhere = new Nowhere(compiler.getStandardFileManager(null, null, null));
        List<String> options = List.of("-encoding", "UTF-8", "-proc:none");
        List<Text> programs = List.of(new Text("Main", PROGRAM));
        compiler.getTask(Writer.nullWriter(), nowhere, null, options, null, programs).call();
    }

    private static final class Text extends SimpleJavaFileObject {
        private final String text;

        Text(String name, String text) {
            super(URI.create("string:///" + name + ".java"), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        @Override
        public OutputStream openOutputStream() {
            return OutputStream.nullOutputStream();
        }
    }

    private static final class Nowhere extends ForwardingJavaFileManager<JavaFileManager> {
        Nowhere(JavaFileManager manager) {
            super(manager);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location where, String name, JavaFileObject.Kind kind, FileObject beside) {
            return new Text(name, "");
        }
    }
}
