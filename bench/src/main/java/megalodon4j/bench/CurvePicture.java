package megalodon4j.bench;

import java.awt.Color;
import java.awt.Font;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.style.Styler.LegendLayout;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.markers.Marker;

/** Curves as panels side by side in a PNG. */
final class CurvePicture {
    // Dots for each one asked for: for screens that show two where others show one.
    private static final int FINE = 2;

    private static final Font TITLES = new Font(Font.SANS_SERIF, Font.PLAIN, 13);
    private static final Font LABELS = new Font(Font.SANS_SERIF, Font.PLAIN, 12);
    private static final Color GRID = new Color(0xdddddd);
    private static final Color[] COLOURS = {new Color(0x0b62b0), new Color(0xe07b00)}; // apart for the colour-blind too

    private CurvePicture() {}

    /** An empty panel that looks like all of them; its y axis begins at 0. */
    static XYChart chart(int width, String xTitle, String yTitle) {
        var chart = new XYChartBuilder()
                .width(width)
                .height(400)
                .xAxisTitle(xTitle)
                .yAxisTitle(yTitle)
                .build();
        var style = chart.getStyler();
        style.setYAxisMin(0.0).setPlotMargin(0).setAxisTicksLineVisible(false).setAxisTitleFont(TITLES);
        style.setAxisTickLabelsFont(LABELS).setPlotGridLinesColor(GRID);
        style.setChartBackgroundColor(Color.WHITE).setPlotBorderColor(GRID).setChartPadding(16);
        style.setSeriesColors(COLOURS).setLegendFont(TITLES).setLegendBorderColor(Color.WHITE);
        style.setLegendPosition(LegendPosition.OutsideS).setLegendLayout(LegendLayout.Horizontal);
        return chart;
    }

    /** Adds a curve for each name. */
    static <P> void add(
            XYChart chart, Map<String, List<P>> points, ToDoubleFunction<P> x, ToDoubleFunction<P> y, Marker marker) {
        points.forEach((name, own) -> chart.addSeries(
                        name,
                        own.stream().mapToDouble(x).toArray(),
                        own.stream().mapToDouble(y).toArray())
                .setMarker(marker));
    }

    static void save(Path png, XYChart... panels) throws IOException {
        int width = 0, height = 0;
        for (var panel : panels) {
            width += panel.getWidth();
            height = Math.max(height, panel.getHeight());
        }
        var image = new BufferedImage(FINE * width, FINE * height, BufferedImage.TYPE_INT_RGB);
        var graphics = image.createGraphics();
        graphics.scale(FINE, FINE);
        for (var panel : panels) {
            panel.paint(graphics, panel.getWidth(), panel.getHeight());
            graphics.translate(panel.getWidth(), 0);
        }
        graphics.dispose();
        ImageIO.write(image, "png", png.toFile());
    }
}
