// Finds the class to start among those that the compiler has made, and leaves its name
// for the `java` of the run step, as an argument file.
//
// As with `java Main.java`, it is of the first file if that has one; there the class that
// is named like the file goes before those that stand above it. A program that has no
// class with `main` is started nevertheless: `java` then says what is missing.

import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

final class MainClass {
    /** What the run step's `java` is told to read; not where a program looks for files. */
    private static final Path FOR_JAVA = Path.of("/box/home/.main-class");
    private static final int LINES_MAX = 0xFFFF;
    private static final int PREVIEW = 0xFFFF;
    private static final int PRIVATE = 0x0002, STATIC = 0x0008, ABSTRACT = 0x0400;

    private final Map<String, ClassHead> classes = new HashMap<>();
    private final List<String> sources;

    /** `sources`: the job's files, the first of them the main one. */
    private MainClass(List<String> sources) {
        this.sources = sources;
    }

    /** Finds it among the classes in `folder`. */
    static void leave(Path folder, List<String> sources) throws IOException {
        MainClass among = new MainClass(sources);
        among.read(folder);
        Files.writeString(FOR_JAVA, among.argument());
    }

    private void read(Path folder) throws IOException {
        try (Stream<Path> found = Files.walk(folder)) {
            for (Path path : (Iterable<Path>) found::iterator) {
                String name = path.getFileName().toString();
                if (name.endsWith(".class") && !name.contains("$")) {
                    ClassHead head = ClassHead.read(path);
                    classes.put(head.name, head);
                }
            }
        }
    }

    private String argument() {
        ClassHead main = classes.values().stream().min(
            Comparator.<ClassHead>comparingInt(one -> mainLine(one) < 0 ? 1 : 0)
                .thenComparingInt(this::place)
                .thenComparingInt(one -> one.isNamedLikeItsFile() ? 0 : 1)
                .thenComparingInt(this::mainLine)
                .thenComparing(one -> one.name)).orElse(null);
        if (main == null) {
            String first = sources.isEmpty() ? "Main" : sources.get(0);
            return first.replaceFirst("\\.java$", "");
        }
        return (main.isPreview ? "--enable-preview " : "") + main.name.replace('/', '.');
    }

    /** Returns which of the job's files a class is from; its folder need not say so. */
    private int place(ClassHead one) {
        int exact = placeOf(one.folder() + one.source);
        return exact < sources.size() ? exact : placeOf(one.source);
    }

    private int placeOf(String tail) {
        int at = 0;
        while (at < sources.size() && !("/" + sources.get(at)).endsWith("/" + tail)) at++;
        return at;
    }

    /** Returns where the class's `main` stands, its own or one that it inherits; else -1. */
    private int mainLine(ClassHead one) {
        int instances = one.isAbstract ? 0 : 1;
        for (ClassHead at = one; at != null; at = classes.get(at.parent)) {
            if (at.mainLine >= 0 && (at.isMainStatic || instances > 0)) {
                return at == one ? at.mainLine : LINES_MAX;
            }
            if (at.parent.equals(at.name)) return -1;
        }
        return -1;
    }

    /** What a class file's head says, and its main method, if it has one. */
    private static final class ClassHead {
        String name;
        String parent;
        String source = "";
        boolean isAbstract;
        boolean isPreview;
        boolean isMainStatic;
        int mainLine = -1;

        private final DataInputStream in;
        private String[] texts;

        private ClassHead(DataInputStream in) {
            this.in = in;
        }

        static ClassHead read(Path path) throws IOException {
            InputStream data = new ByteArrayInputStream(Files.readAllBytes(path));
            ClassHead head = new ClassHead(new DataInputStream(data));
            head.readAll();
            return head;
        }

        String folder() {
            return name.substring(0, name.lastIndexOf('/') + 1);
        }

        boolean isNamedLikeItsFile() {
            return (name + ".java").equals(folder() + source);
        }

        private void readAll() throws IOException {
            in.readInt();
            isPreview = in.readUnsignedShort() == PREVIEW;
            in.readUnsignedShort();
            readConstants();
            isAbstract = (in.readUnsignedShort() & ABSTRACT) != 0;
            name = texts[in.readUnsignedShort()];
            parent = String.valueOf(texts[in.readUnsignedShort()]);
            in.skipNBytes(2L * in.readUnsignedShort());
            readMembers(false);
            readMembers(true);
            readAttributes((what, length) -> {
                if (what.equals("SourceFile")) source = texts[in.readUnsignedShort()];
                else in.skipNBytes(length);
            });
        }

        /** Keeps the texts, and for a class its name's. */
        private void readConstants() throws IOException {
            texts = new String[in.readUnsignedShort()];
            int[] names = new int[texts.length];
            for (int i = 1; i < texts.length; i++) {
                int tag = in.readUnsignedByte();
                switch (tag) {
                    case 1 -> texts[i] = in.readUTF();
                    case 7 -> names[i] = in.readUnsignedShort();
                    case 8, 16, 19, 20 -> in.skipNBytes(2);
                    case 15 -> in.skipNBytes(3);
                    case 5, 6 -> {
                        in.skipNBytes(8);
                        i++; // takes two places
                    }
                    default -> in.skipNBytes(4);
                }
            }
            for (int i = 1; i < texts.length; i++) {
                if (names[i] > 0) texts[i] = texts[names[i]];
            }
        }

        private void readMembers(boolean areMethods) throws IOException {
            for (int left = in.readUnsignedShort(); left > 0; left--) {
                int flags = in.readUnsignedShort();
                String member = texts[in.readUnsignedShort()];
                String type = texts[in.readUnsignedShort()];
                boolean isMain = areMethods && member.equals("main")
                    && (flags & PRIVATE) == 0
                    && (type.equals("()V") || type.equals("([Ljava/lang/String;)V"));
                int line = readLine();
                if (isMain && (mainLine < 0 || type.length() > 3)) {
                    mainLine = line;
                    isMainStatic = (flags & STATIC) != 0;
                }
            }
        }

        /** Reads over a member's attributes; returns the first line of its code. */
        private int readLine() throws IOException {
            int[] line = {LINES_MAX};
            readAttributes((what, length) -> {
                if (!what.equals("Code")) {
                    in.skipNBytes(length);
                    return;
                }
                in.skipNBytes(4);
                in.skipNBytes(in.readInt());
                in.skipNBytes(8L * in.readUnsignedShort());
                readAttributes((inner, size) -> {
                    if (inner.equals("LineNumberTable") && size >= 6) {
                        in.skipNBytes(4);
                        line[0] = Math.min(line[0], in.readUnsignedShort());
                        in.skipNBytes(size - 6);
                    } else {
                        in.skipNBytes(size);
                    }
                });
            });
            return line[0];
        }

        private void readAttributes(Reader reader) throws IOException {
            for (int left = in.readUnsignedShort(); left > 0; left--) {
                reader.read(texts[in.readUnsignedShort()], in.readInt());
            }
        }

        private interface Reader {
            void read(String what, int length) throws IOException;
        }
    }
}
